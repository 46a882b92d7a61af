import Core
import Spine
import Testing

private let p0 = TopicPartition(topic: "t", partition: 0)
private let p1 = TopicPartition(topic: "t", partition: 1)

private func facts(
    stored: [TopicPartition: Int64] = [:], checkpoint: [TopicPartition: Int64] = [:],
    firstRead: [TopicPartition: Int64] = [:], ranges: [(TopicPartition, Int64, Int64)] = [(p0, 0, 100), (p1, 10, 50)],
    committed: [TopicPartition: Int64] = [:], atTimestamp: [TopicPartition: Int64] = [:], isRestored: Bool = false
) -> StartFacts {
    StartFacts(
        stored: stored, checkpoint: checkpoint, firstRead: firstRead,
        ranges: ranges.map { PartitionRange(partition: $0.0, low: $0.1, high: $0.2) }, committed: committed,
        atTimestamp: atTimestamp, isRestored: isRestored)
}

private func options(_ position: StartPosition?, newStore: Bool = false, gap: Bool = false) -> StartOptions {
    StartOptions(position: position, isNewStoreAccepted: newStore, isGapAccepted: gap)
}

@Suite struct StartPlanTests {
    @Test func `the first start begins where the operator says and bootstraps up to the end`() throws {
        let earliest = try StartPlan.make(facts(), options: options(.earliest))
        #expect(earliest.judge == [p0: 0, p1: 10])
        #expect(earliest.replay == earliest.judge)
        #expect(earliest.bootstrapEnds == [p0: 100, p1: 50])
        let latest = try StartPlan.make(facts(), options: options(.latest))
        #expect(latest.judge == [p0: 100, p1: 50])
        #expect(latest.bootstrapEnds.isEmpty)
        // A time after the newest message gives -1: nothing of that partition is that new.
        let time = try StartPlan.make(
            facts(atTimestamp: [p0: 42, p1: -1]), options: options(.timestamp(Timestamp(milliseconds: 5))))
        #expect(time.judge == [p0: 42, p1: 50])
        #expect(time.bootstrapEnds == [p0: 100])
    }

    @Test func `a new store without a start position, or beside a group with offsets, is refused`() {
        let unsaid = #expect(throws: StartRefusal.self) { try StartPlan.make(facts(), options: options(nil)) }
        #expect(unsaid?.help.contains("start:") == true)
        let old = facts(committed: [p0: 5])
        let group = #expect(throws: StartRefusal.self) { try StartPlan.make(old, options: options(.earliest)) }
        #expect(group?.help.contains("--new-store") == true)
        #expect(throws: Never.self) { try StartPlan.make(old, options: options(.earliest, newStore: true)) }
    }

    @Test func `a restart judges from the stored offsets and replays from the checkpoint`() throws {
        let plan = try StartPlan.make(
            facts(stored: [p0: 80, p1: 40], checkpoint: [p0: 60], firstRead: [p0: 0, p1: 12]), options: options(nil))
        #expect(plan.judge == [p0: 80, p1: 40])
        // Without a checkpoint memory is rebuilt from where the partition was first read.
        #expect(plan.replay == [p0: 60, p1: 12])
        #expect(plan.bootstrapEnds.isEmpty)
    }

    @Test func `a checkpoint ahead of the stored offsets is never replayed backwards`() throws {
        let plan = try StartPlan.make(
            facts(stored: [p0: 80, p1: 40], checkpoint: [p0: 90, p1: 40]), options: options(nil))
        #expect(plan.replay == [p0: 80, p1: 40])
    }

    @Test func `a partition that appeared while the router was down begins at its beginning`() throws {
        let plan = try StartPlan.make(facts(stored: [p0: 80], checkpoint: [p0: 80]), options: options(.latest))
        #expect(plan.judge == [p0: 80, p1: 10])
        #expect(plan.bootstrapEnds.isEmpty)
    }

    @Test func `messages dropped before they were read stop the start unless the gap is accepted`() throws {
        let gap = facts(stored: [p0: 5, p1: 40], checkpoint: [p0: 5, p1: 40], ranges: [(p0, 20, 100), (p1, 10, 50)])
        let refusal = #expect(throws: StartRefusal.self) { try StartPlan.make(gap, options: options(nil)) }
        #expect(refusal?.message.contains("offsets 5 to 19 were never read") == true)
        let plan = try StartPlan.make(gap, options: options(nil, gap: true))
        #expect(plan.judge == [p0: 20, p1: 40])
        #expect(plan.acceptedGaps.count == 1)
    }

    @Test func `a dropped stretch of memory alone loses no event but is not passed over silently`() throws {
        let gap = facts(
            stored: [p0: 80, p1: 40], checkpoint: [p0: 10, p1: 40], ranges: [(p0, 30, 100), (p1, 10, 50)])
        let refusal = #expect(throws: StartRefusal.self) { try StartPlan.make(gap, options: options(nil)) }
        #expect(refusal?.message.contains("rebuild the row memory") == true)
        let plan = try StartPlan.make(gap, options: options(nil, gap: true))
        #expect(plan.judge == [p0: 80, p1: 40])
        #expect(plan.replay == [p0: 30, p1: 40])
    }

    @Test func `a topic that ends below the stored offset is another topic`() {
        let wrong = facts(stored: [p0: 800, p1: 40])
        let refusal = #expect(throws: StartRefusal.self) { try StartPlan.make(wrong, options: options(nil, gap: true)) }
        #expect(refusal?.message.contains("Kafka ends at 100") == true)
    }

    @Test func `a restored store bootstraps again from its offsets`() throws {
        let plan = try StartPlan.make(
            facts(stored: [p0: 80, p1: 50], checkpoint: [p0: 80, p1: 50], isRestored: true), options: options(nil))
        #expect(plan.judge == [p0: 80, p1: 50])
        #expect(plan.bootstrapEnds == [p0: 100])
    }

    @Test func `topics without partitions are refused`() {
        #expect(throws: StartRefusal.self) { try StartPlan.make(facts(ranges: []), options: options(.earliest)) }
    }
}
