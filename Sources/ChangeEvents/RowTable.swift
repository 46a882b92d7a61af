// HOT
internal import Core

/// The row memory of one table.
struct RowTable: Sendable {
    let index: Int32
    let columnCount: Int
    let columnPaths: [String]
    let name: String
    let readsBefore: Bool
    let remembersValues: Bool
    let acceptsLate: Bool
    let keysMax: Int
    let ttlMilliseconds: Int64
    var entries = RowEntries()
    var waits = RowWaits()
    var remembered = RememberedRows()
    var counters = RowMemoryCounters()
    /// The newest commit time seen; ages are measured from it.
    var newestCommit: Int64 = .min
    private var endedByBound: [PairRun] = []

    init(_ table: TableCatalog.Table, index: Int32) {
        self.index = index
        columnCount = table.layout.count
        columnPaths = table.layout.columns.map(\.path)
        name = table.name
        readsBefore = table.readsBefore
        remembersValues = table.readsBefore && table.declaration.preimages == .none
        acceptsLate = table.declaration.late == .accept
        keysMax = max(table.declaration.rowKeysMax, 1)
        ttlMilliseconds = table.declaration.rowStateTTL.wholeMilliseconds
    }

    // MARK: - Admission

    mutating func admit(_ event: inout ChangeEvent, _ scratch: inout RowScratch, _ runs: inout Set<PairRun>) {
        if event.kind == .preimage, !readsBefore || remembersValues {
            // Nobody reads it, and an unchanged row shows in the postimage's hash.
            settle(&event, .paired)
            return
        }
        let commit = event.commitTime.milliseconds
        if commit > newestCommit { newestCommit = commit }
        let place = entry(of: event)
        let entry = entries[place]
        if (event.epoch, event.version) < (entry.epoch, entry.version) {
            admitLate(&event)
            return
        }
        let isNewer = (event.epoch, event.version) > (entry.epoch, entry.version)
        if isNewer, entry.waiting >= 0 { releaseOlder(than: event, place, &scratch) }
        switch event.kind {
        case .preimage: admitPreimage(&event, place, &scratch)
        case .delete: admitDelete(&event, place, isNewer, &scratch, &runs)
        case .insert, .snapshot, .update, .upsert: admitRow(&event, place, isNewer, &scratch, &runs)
        }
    }

    private mutating func entry(of event: ChangeEvent) -> Int {
        let place = entries.find(event.rowKeyHash, commitTime: event.commitTime.milliseconds)
        let entry = entries[place]
        if entry.isKnown, entry.waiting < 0, entry.commitTime < newestCommit - ttlMilliseconds {
            // Forgotten by age, though its place was not needed yet.
            remembered.forget(entry.remembered)
            entries[place] = RowEntry(keyHash: event.rowKeyHash, commitTime: event.commitTime.milliseconds)
            counters.keysExpired += 1
        }
        return place
    }

    private mutating func settle(_ event: inout ChangeEvent, _ disposition: ChangeEvent.Disposition) {
        event.disposition = disposition
        switch disposition {
        case .judge: counters.judged += 1
        case .late: counters.late += 1
        case .duplicate: counters.duplicates += 1
        case .noOp: counters.noOps += 1
        case .paired: counters.paired += 1
        case .decoded, .waiting: break
        }
    }

    private mutating func admitLate(_ event: inout ChangeEvent) {
        guard event.kind != .preimage else { return settle(&event, .paired) }
        guard acceptsLate else { return settle(&event, .late) }
        counters.late += 1
        event.flags.insert(.late)
        if event.kind == .upsert { event.kind = .update }
        settle(&event, .judge)
    }

    private mutating func admitPreimage(_ event: inout ChangeEvent, _ place: Int, _ scratch: inout RowScratch) {
        let (epoch, version) = (event.epoch, event.version)
        let post = waits.first(entries[place].waiting) {
            $0.kind != .preimage && $0.kind != .delete && $0.epoch == epoch && $0.version == version
        }
        guard let post else {
            event.disposition = .waiting
            if !waits.add(event, first: &entries[place].waiting) {
                counters.waitsRefused += 1
                settle(&event, .paired)
            }
            return
        }
        let half = waits.remove(post, first: &entries[place].waiting)
        var released = placed(half, &scratch)
        released.beforeSlot = event.beforeSlot
        settle(&released, released.imageHash == event.imageHash ? .noOp : .judge)
        scratch.release(released)
        settle(&event, .paired)
    }

    private mutating func admitDelete(
        _ event: inout ChangeEvent, _ place: Int, _ isNewer: Bool, _ scratch: inout RowScratch,
        _ runs: inout Set<PairRun>
    ) {
        if !isNewer {
            // The new image of the same commit came first: this is what it replaced.
            if entries[place].rank > RowEntry.rankDelete { return completeRewrite(&event, place, &scratch) }
            // A key that occurs twice in a commit is gone with the first delete.
            return settle(&event, event.imageHash == entries[place].imageHash ? .duplicate : .noOp)
        }
        let wasDeleted = entries[place].isDeleted
        fillRemembered(&event, place, &scratch)
        note(event, place, isNewer, scratch, image: nil)
        if wasDeleted { return settle(&event, .noOp) }
        let run = PairRun(
            table: index, epoch: event.epoch, rowKeyHash: event.rowKeyHash, version: event.version)
        guard event.flags.contains(.half), runs.remove(run) == nil else { return settle(&event, .judge) }
        wait(&event, place, run)
    }

    /// The delete of a rewrite whose insert came first: the insert's wait ends, if it still waits.
    private mutating func completeRewrite(_ event: inout ChangeEvent, _ place: Int, _ scratch: inout RowScratch) {
        let (epoch, version) = (event.epoch, event.version)
        let insert = waits.first(entries[place].waiting) {
            $0.kind == .insert && $0.epoch == epoch && $0.version == version
        }
        if let insert {
            let half = waits.remove(insert, first: &entries[place].waiting)
            var released = placed(half, &scratch)
            released.kind = .update
            released.beforeSlot = event.beforeSlot
            settle(&released, released.imageHash == event.imageHash ? .noOp : .judge)
            scratch.release(released)
        }
        settle(&event, .paired)
    }

    private mutating func admitRow(
        _ event: inout ChangeEvent, _ place: Int, _ isNewer: Bool, _ scratch: inout RowScratch,
        _ runs: inout Set<PairRun>
    ) {
        let entry = entries[place]
        let rank = RowEntry.rank(event.kind)
        if !isNewer {
            if rank < entry.rank { return admitLate(&event) }
            if rank == entry.rank, event.imageHash == entry.imageHash || event.imageHash == entry.otherHash {
                dropPreimage(of: event, place)
                return settle(&event, .duplicate)
            }
        }
        let wasAlive = entry.isKnown && !entry.isDeleted
        if event.kind == .upsert { event.kind = wasAlive ? .update : .insert }
        // The delete of the same commit was judged already: the row is rewritten, not new.
        if event.kind == .insert, !isNewer, entry.isDeleted { event.kind = .update }
        let isUnchanged =
            event.disposition == .noOp || (isNewer && wasAlive && event.imageHash == entry.imageHash)
        fillRemembered(&event, place, &scratch)
        note(event, place, isNewer, scratch, image: event.afterSlot)
        if isUnchanged {
            dropPreimage(of: event, place)
            return settle(&event, .noOp)
        }
        if event.flags.contains(.half) {
            pair(
                &event, place, isInsert: rank == RowEntry.rankInsert, wasAlive: wasAlive, &runs, &scratch)
        } else {
            settle(&event, .judge)
        }
    }

    /// Joins a new image with the half that came before it, or lets it wait for the one that comes after.
    private mutating func pair(
        _ event: inout ChangeEvent, _ place: Int, isInsert: Bool, wasAlive: Bool, _ runs: inout Set<PairRun>,
        _ scratch: inout RowScratch
    ) {
        let (epoch, version) = (event.epoch, event.version)
        let half = waits.first(entries[place].waiting) {
            $0.kind == (isInsert ? .delete : .preimage) && $0.epoch == epoch && $0.version == version
        }
        if let half {
            let other = placed(waits.remove(half, first: &entries[place].waiting), &scratch)
            event.kind = .update
            event.beforeSlot = other.beforeSlot
            event.flags.remove(.remembered)
            counters.paired += 1
            return settle(&event, other.imageHash == event.imageHash ? .noOp : .judge)
        }
        // A first insert has no other half; one of a row that exists may be half of a rewrite.
        let expects = !isInsert || wasAlive
        guard readsBefore, !remembersValues, expects else { return settle(&event, .judge) }
        let run = PairRun(table: index, epoch: epoch, rowKeyHash: event.rowKeyHash, version: version)
        if runs.remove(run) != nil {
            event.flags.insert(.unpaired)
            counters.unpaired += 1
            return settle(&event, .judge)
        }
        wait(&event, place, run)
    }

    private mutating func wait(_ event: inout ChangeEvent, _ place: Int, _ run: PairRun) {
        event.disposition = .waiting
        if !waits.add(event, first: &entries[place].waiting) {
            counters.waitsRefused += 1
            endedByBound.append(run)
            event.flags.insert(.unpaired)
            settle(&event, .judge)
        }
    }

    /// Forgets a preimage whose postimage turned out to need none.
    private mutating func dropPreimage(of event: ChangeEvent, _ place: Int) {
        guard entries[place].waiting >= 0 else { return }
        let half = waits.first(entries[place].waiting) {
            $0.kind == .preimage && $0.epoch == event.epoch && $0.version == event.version
        }
        if let half {
            _ = waits.remove(half, first: &entries[place].waiting)
            counters.paired += 1
        }
    }

    /// A later version ends the waits of a key: images are judged without their other half, preimages are dropped.
    private mutating func releaseOlder(than event: ChangeEvent, _ place: Int, _ scratch: inout RowScratch) {
        while entries[place].waiting >= 0 {
            let half = waits.first(entries[place].waiting) {
                ($0.epoch, $0.version) < (event.epoch, event.version)
            }
            guard let half else { return }
            _ = release(half, place, &scratch)
        }
    }

    /// Ends a wait without the other half; the wait's name where something is judged now.
    private mutating func release(_ half: Int32, _ place: Int, _ scratch: inout RowScratch) -> PairRun? {
        let removed = waits.remove(half, first: &entries[place].waiting)
        guard removed.event.kind != .preimage else {
            counters.paired += 1
            return nil
        }
        var released = placed(removed, &scratch)
        if released.kind != .delete {
            released.flags.insert(.unpaired)
            counters.unpaired += 1
        }
        settle(&released, .judge)
        scratch.release(released)
        return PairRun(
            table: index, epoch: released.epoch, rowKeyHash: released.rowKeyHash, version: released.version)
    }

    // MARK: - Images

    /// A half's event with its image and key in the present batch.
    private func placed(_ half: RowWaits.Half, _ scratch: inout RowScratch) -> ChangeEvent {
        var event = half.event
        guard let image = half.image else { return event }
        let first = image.place(&scratch.slots, scratch.arena)
        if event.afterSlot >= 0 { event.afterSlot = first }
        event.beforeSlot = event.kind == .delete || event.kind == .preimage ? first : -1
        event.rowKeyText = (half.keyText.withUnsafeBytes { scratch.arena.append($0) }, UInt32(half.keyText.count))
        event.messageIndex = -1
        event.partitionIndex = -1
        return event
    }

    /// Gives an event without `before` the remembered values of the row.
    private mutating func fillRemembered(_ event: inout ChangeEvent, _ place: Int, _ scratch: inout RowScratch) {
        guard remembersValues, entries[place].remembered >= 0, !entries[place].isDeleted else { return }
        guard event.beforeSlot < 0 || event.kind == .delete, event.kind != .insert else { return }
        if event.kind == .delete, event.beforeSlot >= 0, event.imageHash != 0 { return }
        guard let image = remembered.image(entries[place].remembered, columnCount: columnCount) else { return }
        event.beforeSlot = image.place(&scratch.slots, scratch.arena)
        event.flags.insert(.remembered)
    }

    /// Remembers the event as the newest of its key.
    private mutating func note(
        _ event: ChangeEvent, _ place: Int, _ isNewer: Bool, _ scratch: RowScratch, image: Int32?
    ) {
        let other = isNewer ? 0 : entries[place].imageHash
        entries[place].otherHash = other
        entries[place].imageHash = event.imageHash
        entries[place].epoch = event.epoch
        entries[place].version = event.version
        entries[place].rank = RowEntry.rank(event.kind)
        entries[place].commitTime = event.commitTime.milliseconds
        guard remembersValues else { return }
        if let image, image >= 0 {
            let first = Int(image)
            let owned = OwnedImage(
                scratch.slots[first..<first + columnCount], scratch.arena, textMax: RememberedRows.textMax)
            entries[place].remembered = remembered.store(entries[place].remembered, owned)
            if entries[place].remembered < 0 { counters.valuesRefused += 1 }
            for slot in scratch.slots[first..<first + columnCount] where slot.textCount > RememberedRows.textMax {
                counters.textsCut += 1
            }
        } else {
            remembered.forget(entries[place].remembered)
            entries[place].remembered = -1
        }
    }

    // MARK: - Ends

    /// Ends a batch: without rules that read `before`, nothing waits beyond it.
    mutating func endBatch(_ scratch: inout RowScratch) -> [PairRun] {
        if !waits.fresh.isEmpty {
            if !readsBefore || remembersValues {
                // A place that was freed and taken again in this batch occurs twice.
                for half in waits.fresh where waits.pool[Int(half)].isUsed {
                    let hash = waits.pool[Int(half)].event.rowKeyHash
                    _ = release(half, entries.find(hash, commitTime: newestCommit), &scratch)
                }
            }
            waits.keepFresh(columnCount: columnCount, scratch.slots, scratch.arena)
        }
        if entries.count > keysMax { evict() }
        defer { endedByBound.removeAll() }
        return endedByBound
    }

    mutating func expireWaits(_ now: Int64, _ scratch: inout RowScratch) -> [PairRun] {
        guard waits.count > 0 else { return [] }
        var ended: [PairRun] = []
        for half in waits.expired(now: now, wait: RowMemory.waitMilliseconds) {
            let hash = waits.pool[Int(half)].event.rowKeyHash
            let place = entries.find(hash, commitTime: newestCommit)
            if let run = release(half, place, &scratch) { ended.append(run) }
        }
        return ended
    }

    /// Forgets keys past their age, then the oldest by commit time until a sixteenth of the bound is free.
    private mutating func evict() {
        let before = entries.count
        let oldest = newestCommit - ttlMilliseconds
        forget { $0.commitTime < oldest }
        counters.keysExpired += before - entries.count
        let wanted = keysMax - keysMax / 16
        guard entries.count > keysMax else { return }
        let surplus = entries.count - wanted
        let times = entries.entries.lazy.map(\.commitTime)
        guard let low = times.min(), let high = times.max() else { return }
        // A histogram finds the age that frees enough; within its last bin the first ones made go.
        let width = (high - low) / 1024 + 1
        var bins = [Int](repeating: 0, count: 1025)
        for time in times { bins[Int((time - low) / width)] += 1 }
        var bin = 0
        var sum = 0
        while bin < 1024, sum + bins[bin] < surplus {
            sum += bins[bin]
            bin += 1
        }
        let edge = low + Int64(bin) * width
        var rest = surplus - sum
        let count = entries.count
        forget { entry in
            if entry.commitTime < edge { return true }
            guard entry.commitTime < edge + width, rest > 0 else { return false }
            rest -= 1
            return true
        }
        counters.keysEvicted += count - entries.count
    }

    private mutating func forget(_ isOld: (RowEntry) -> Bool) {
        var handles: [Int32] = []
        entries.filter { entry in
            guard entry.waiting < 0, isOld(entry) else { return true }
            if entry.remembered >= 0 { handles.append(entry.remembered) }
            return false
        }
        for handle in handles { remembered.forget(handle) }
    }
}
