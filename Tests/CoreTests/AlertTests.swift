import Core
import Testing

@Suite struct AlertTests {
    private func sample() -> Alert {
        var alert = Alert(
            rule: "line-defect-rate", table: "gld_fact_quality", owner: "quality", keyColumns: ["plant", "line"],
            keyTexts: ["MX04-Querétaro", nil], at: Timestamp(milliseconds: 1000))
        alert.state = .firing
        alert.severity = .critical
        alert.episode = 7
        alert.levelSince = [Timestamp(milliseconds: -5), nil, Timestamp(milliseconds: 3), nil]
        alert.firingSince = Timestamp(milliseconds: 5)
        alert.breachingRows = [BreachingRow(digest: 1, severity: .error), BreachingRow(digest: .max, severity: .info)]
        alert.breachingRows[0].holdUntil = Timestamp(milliseconds: 5)
        alert.newestRow = NewestRow(digest: 7, eventTime: Timestamp(milliseconds: 8), version: -9)
        alert.labels = ["team": "quality"]
        alert.recipient = "planner@example.com"
        alert.columns = ["after.rate": ColumnText(kind: .decimal, text: "0.0700")]
        alert.isInexact = true
        alert.holdVersion = -1
        alert.cause = EventPosition(topic: "t", partition: 3, offset: 9, version: 12)
        return alert
    }

    @Test func `an alert survives its stored form`() throws {
        let alert = sample()
        #expect(try Alert(bytes: alert.bytes) == alert)
    }

    @Test func `every truncation of a stored alert is an error, never a crash`() {
        let bytes = sample().bytes
        for count in 0..<bytes.count {
            #expect(throws: ByteReadError.self) { try Alert(bytes: Array(bytes.prefix(count))) }
        }
    }

    @Test func `damaged bytes never crash`() {
        // Goal: damage on disk is an error or another alert, never a trap. Method: flip every byte to several values.
        let bytes = sample().bytes
        for index in bytes.indices {
            for value: UInt8 in [0, 1, 0x7F, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] = value
                _ = try? Alert(bytes: damaged)
            }
        }
    }

    @Test func `fingerprints tell apart what concatenation would not`() {
        func print(_ rule: String, _ columns: [String], _ texts: [String?]) -> Fingerprint {
            Fingerprint(rule: rule, keyColumns: columns, keyTexts: texts)
        }
        let all = [
            print("r", ["a", "b"], ["x", "y"]), print("r", ["a", "b"], ["xy", ""]),
            print("r", ["a", "b"], ["", "xy"]),
            print("r", ["a", "b"], [nil, "xy"]), print("ra", ["b"], ["xy"]), print("r", ["ab"], ["xy"]),
        ]
        #expect(Set(all.map(\.description)).count == all.count)
        #expect(Fingerprint(hex: all[0].description) == all[0])
        #expect(Fingerprint(bytes: all[1].bytes) == all[1])
    }

    @Test func `incident keys are read back and other texts refused`() {
        let key = IncidentKey(fingerprint: sample().fingerprint, episode: 12)
        #expect(IncidentKey(key.description) == key)
        for text in ["", "-1", "abc-1", key.description + "x", "\(key.fingerprint)"] {
            #expect(IncidentKey(text) == nil)
        }
    }
}

@Suite struct MetricsTests {
    @Test func `metrics are written in the Prometheus text format`() {
        let registry = MetricsRegistry()
        registry.counter("router_events_total", "Events read.", labels: ["topic": "a\"b"]).add(3)
        registry.gauge("router_lag", "Lag.").set(1.5)
        let histogram = registry.histogram("router_seconds", "Latency.", bounds: [0.1, 1])
        histogram.observe(0.05)
        histogram.observe(5)
        #expect(
            registry.prometheusText() == """
                # HELP router_events_total Events read.
                # TYPE router_events_total counter
                router_events_total{topic="a\\"b"} 3
                # HELP router_lag Lag.
                # TYPE router_lag gauge
                router_lag 1.5
                # HELP router_seconds Latency.
                # TYPE router_seconds histogram
                router_seconds_bucket{le="0.1"} 1
                router_seconds_bucket{le="1"} 1
                router_seconds_bucket{le="+Inf"} 2
                router_seconds_sum 5.05
                router_seconds_count 2

                """)
    }

    @Test func `data cannot make a family grow without bound`() {
        let registry = MetricsRegistry()
        for index in 0..<(MetricsRegistry.seriesMax + 50) {
            registry.counter("x_total", "X.", labels: ["key": "\(index)"]).add()
        }
        let text = registry.prometheusText()
        #expect(text.split(separator: "\n").count == MetricsRegistry.seriesMax + 3)
        #expect(text.contains("x_total{key=\"other\"} 50"))
    }
}

@Suite struct RawBatchTests {
    @Test func `a tombstone and an empty value differ`() {
        let partition = TopicPartition(topic: "t", partition: 0)
        let batch = RawBatch.copying([
            .init(partition: partition, offset: 0, timestamp: 1, key: [1], value: nil),
            .init(
                partition: partition, offset: 1, timestamp: 1, key: nil, value: [], headers: [("h", nil), ("h", [2])]),
        ])
        #expect(batch.messages[0].value == nil)
        #expect(batch.messages[1].value?.count == 0)
        #expect(batch.messages[1].key == nil)
        #expect(batch.headers(of: batch.messages[1]).map(\.name) == ["h", "h"])
        #expect(batch.headers(of: batch.messages[1]).last?.value.map(Array.init) == [2])
        #expect(batch.byteCount == 1)
    }
}
