#pragma once
// Swift cannot call variadic C functions; these forward to the ones that the client needs.
#include <malloc.h>
#include <sys/prctl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/// Produces one message with copies of key and value. On success the library owns `headers`, else the caller.
static inline rd_kafka_resp_err_t crdkafka_produce(
    rd_kafka_t *client, const char *topic, int32_t partition, const void *value, size_t value_count, const void *key,
    size_t key_count, int64_t timestamp, rd_kafka_headers_t *headers, void *opaque) {
    if (headers) {
        return rd_kafka_producev(
            client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_VALUE((void *)value, value_count), RD_KAFKA_V_KEY(key, key_count),
            RD_KAFKA_V_TIMESTAMP(timestamp), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    }
    return rd_kafka_producev(
        client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_VALUE((void *)value, value_count), RD_KAFKA_V_KEY(key, key_count), RD_KAFKA_V_TIMESTAMP(timestamp),
        RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

/// Lets a mock broker answer the next request of a kind late by `rtt_ms`, and with `error` if that is not 0.
static inline rd_kafka_resp_err_t crdkafka_mock_push_rtt(
    rd_kafka_mock_cluster_t *cluster, int32_t broker, int16_t api_key, rd_kafka_resp_err_t error, int rtt_ms) {
    return rd_kafka_mock_broker_push_request_error_rtts(cluster, broker, api_key, (size_t)1, (int)error, rtt_ms);
}

/// Names the calling thread; the kernel keeps 15 bytes.
static inline void crdkafka_name_thread(const char *name) { (void)prctl(PR_SET_NAME, name, 0, 0, 0); }

/// Sets from which size on glibc maps blocks of their own and gives the top of the heap back, in bytes.
static inline void crdkafka_set_heap_thresholds(int map_bytes, int trim_bytes) {
    (void)mallopt(M_MMAP_THRESHOLD, map_bytes);
    (void)mallopt(M_TRIM_THRESHOLD, trim_bytes);
}
