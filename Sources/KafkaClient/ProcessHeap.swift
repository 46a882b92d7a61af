internal import CRdKafka

/// How the process gives memory back.
public enum ProcessHeap {
    /// Fixes from which size on glibc maps blocks of their own, 128 KiB, and from which size on it gives the top of the
    /// heap back, 256 KiB. To be called first in a program that consumes.
    ///
    /// Left alone, glibc raises both with the first large block that is freed, here a fetch buffer of librdkafka. Such
    /// buffers then lie in the heap between small blocks, and what is resident creeps up (docs/benchmarks.md).
    public static func settle() { crdkafka_set_heap_thresholds(128 << 10, 256 << 10) }
}
