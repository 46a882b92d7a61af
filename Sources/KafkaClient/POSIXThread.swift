internal import CRdKafka
internal import Glibc

// SAFETY: `Start` is retained for the new thread and released by it, once; the thread's id is used by whoever made the
// thread, at most once, to join it. Condition variables are allocated here and freed in deinit, when nobody waits.

/// A named thread with all signals blocked, so that the program's own handlers get them.
struct POSIXThread: Sendable {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    private let thread: pthread_t

    /// Starts a thread.
    ///
    /// - Parameter name: at most 15 bytes, as the kernel shows it.
    /// - Throws: ``KafkaError/Code/clientFailed`` where the system refuses a thread.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) throws(KafkaError) -> POSIXThread {
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        var blocked = sigset_t()
        var previous = sigset_t()
        sigfillset(&blocked)
        pthread_sigmask(SIG_BLOCK, &blocked, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                crdkafka_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            throw KafkaError(.clientFailed, "cannot start a thread: \(String(cString: strerror(status)))")
        }
        return POSIXThread(thread: thread)
    }

    /// Waits for the end of the thread; exactly one of this and ``detach()`` must be called, once.
    func join() { pthread_join(thread, nil) }

    /// Lets the thread end on its own.
    func detach() { pthread_detach(thread) }
}

/// A bounded queue whose reader is a plain thread that may block.
final class BlockingQueue<Element: Sendable>: @unchecked Sendable {
    private let countMax: Int
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var elements: [Element] = []
    private var isClosed = false

    init(countMax: Int) {
        self.countMax = countMax
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    enum Refusal: Error { case full, closed }

    /// Adds an element.
    func push(_ element: Element) throws(Refusal) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed else { throw .closed }
        guard elements.count < countMax else { throw .full }
        elements.append(element)
        pthread_cond_signal(condition)
    }

    /// Takes the first element, waiting up to `milliseconds`; nil when none came or the queue is closed.
    func pop(milliseconds: Int64) -> Element? {
        let deadline = monotonicNanoseconds() + milliseconds * 1_000_000
        var time = timespec(tv_sec: Int(deadline / 1_000_000_000), tv_nsec: Int(deadline % 1_000_000_000))
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while elements.isEmpty, !isClosed {
            guard pthread_cond_timedwait(condition, mutex, &time) == 0 else { break }
        }
        return elements.isEmpty ? nil : elements.removeFirst()
    }

    /// Refuses further elements, wakes the reader and returns what is left.
    func close() -> [Element] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isClosed = true
        defer { elements = [] }
        pthread_cond_broadcast(condition)
        return elements
    }

    var isOpen: Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return !isClosed
    }
}

/// The monotonic clock; for intervals inside the client's threads only.
@inline(__always)
func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
