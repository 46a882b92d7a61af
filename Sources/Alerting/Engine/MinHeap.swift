/// Elements of which the least is at hand: a binary heap.
public struct MinHeap<Element: Comparable & Sendable>: Sendable {
    private var elements: ContiguousArray<Element> = []

    /// Makes an empty heap.
    public init() {}

    /// The least element; nil where there is none.
    public var first: Element? { elements.first }
    public var count: Int { elements.count }

    /// Adds an element.
    public mutating func push(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child] < elements[parent] else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the least element out; nil where there is none.
    @discardableResult
    public mutating func pop() -> Element? {
        guard let first = elements.first else { return nil }
        let last = elements.removeLast()
        guard !elements.isEmpty else { return first }
        elements[0] = last
        sink(0)
        return first
    }

    /// Forgets all elements but some.
    public mutating func removeAll(where isGone: (Element) -> Bool) {
        elements.removeAll(where: isGone)
        for place in stride(from: elements.count / 2 - 1, through: 0, by: -1) { sink(place) }
    }

    private mutating func sink(_ start: Int) {
        var parent = start
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < elements.count && elements[child] < elements[least] { least = child }
            guard least != parent else { return }
            elements.swapAt(parent, least)
            parent = least
        }
    }
}
