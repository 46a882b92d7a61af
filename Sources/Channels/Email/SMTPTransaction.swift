internal import NIOCore

/// One message on its way through a session.
struct SMTPTransaction {
    enum Step: Equatable {
        case reset
        case mail
        /// The position in ``order`` whose answer is awaited.
        case recipient(Int)
        case data
        case content
        /// DATA was accepted although every recipient had been refused: only the final dot was sent.
        case emptyContent
    }

    let ticket: Int
    let message: SMTPMessage
    var step = Step.mail
    /// Its commands are on the wire as one group.
    var isGrouped = false
    /// Its first command is on the wire.
    var isBegun = false
    /// Indices of the recipients that the server is asked for.
    var order: [Int] = []
    /// What is settled, by index of the recipient.
    var settled: [SMTPRecipientReport?]
    var acceptedCount = 0
    var isMailAccepted = false
    var isContentWritten = false
    /// The server has judged something of this message.
    var isTouched = false

    init(ticket: Int, message: SMTPMessage) {
        self.ticket = ticket
        self.message = message
        settled = Array(repeating: nil, count: message.recipients.count)
    }

    var stepName: String {
        switch step {
        case .reset: "RSET"
        case .mail: "MAIL"
        case .recipient: "RCPT"
        case .data: "DATA"
        case .content: isContentWritten ? "the final dot" : "the content"
        case .emptyContent: "the final dot"
        }
    }

    mutating func settle(_ index: Int, _ outcome: SMTPOutcome, _ reply: SMTPReply?, _ reason: String) {
        settled[index] = SMTPRecipientReport(
            recipient: message.recipients[index], outcome: outcome, reply: reply, reason: reason)
    }

    /// Gives every recipient that is not settled the same end.
    mutating func settleRest(_ outcome: SMTPOutcome, _ reply: SMTPReply?, _ reason: String) {
        for index in settled.indices where settled[index] == nil { settle(index, outcome, reply, reason) }
    }

    /// The report of a transaction whose recipients are all settled.
    var report: SMTPReport {
        let complete = settled.enumerated().map { index, report in
            report
                ?? SMTPRecipientReport(
                    recipient: message.recipients[index], outcome: .retryable, reply: nil, reason: "not attempted")
        }
        return SMTPReport(recipients: complete, isUntouched: false)
    }

    /// The report when the connection breaks: what was settled stays; after the whole content was written and without
    /// an answer nobody knows.
    func report(brokenBy failure: SMTPFailure) -> SMTPReport {
        var copy = self
        if step == .content, isContentWritten, failure.reply == nil {
            copy.settleRest(.ambiguous, nil, failure.reason)
        } else {
            let outcome = failure.outcome == .unauthorized ? SMTPOutcome.unauthorized : .retryable
            copy.settleRest(outcome, failure.reply, failure.reason)
        }
        var report = copy.report
        report.isUntouched = !isTouched && step != .content && step != .emptyContent
        return report
    }
}

extension SMTPSession {
    /// Takes a message; one that the session does not accept (``acceptsMessage``) is answered as retryable.
    ///
    /// A message that no server like this one can carry is answered at once.
    mutating func submit(ticket: Int, _ message: SMTPMessage, into actions: inout [Action]) {
        guard acceptsMessage else {
            let failure = SMTPFailure(outcome: .retryable, reason: "the connection takes no message")
            let report = SMTPReport(all: message.recipients, failure: failure, isUntouched: true)
            return actions.append(.complete(ticket: ticket, report))
        }
        progress += 1
        var transaction = SMTPTransaction(ticket: ticket, message: message)
        if let failure = refusal(of: message) {
            transaction.settleRest(.permanent, nil, failure)
        } else {
            for (index, recipient) in message.recipients.enumerated() {
                if let refusal = refusal(of: recipient) {
                    transaction.settle(index, .permanent, nil, refusal)
                } else {
                    transaction.order.append(index)
                }
            }
        }
        guard !transaction.order.isEmpty else {
            return actions.append(.complete(ticket: ticket, transaction.report))
        }
        if head == nil {
            head = transaction
            beginHead(into: &actions)
        } else {
            next = transaction
            writeNextGroup(into: &actions)
        }
    }

    private func refusal(of message: SMTPMessage) -> String? {
        if message.recipients.count > configuration.limits.recipientsMax {
            return "more than \(configuration.limits.recipientsMax) recipients"
        }
        if let size = capabilities.size, size > 0, message.content.octetCount > size {
            return "message of \(message.content.octetCount) octets; the server takes \(size)"
        }
        if message.content.isEightBit, !capabilities.offersEightBit {
            return "the content has 8-bit bytes; the server does not offer 8BITMIME"
        }
        if message.hasUTF8Headers, !capabilities.offersUTF8 { return "the server does not offer SMTPUTF8" }
        return message.sender.isEmpty ? nil : refusal(of: message.sender)
    }

    /// The last guard before an address becomes part of a command.
    private func refusal(of address: String) -> String? {
        guard (1...254).contains(address.utf8.count),
            address.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F && $0 != 0x3C && $0 != 0x3E })
        else { return "the address cannot be written in a command" }
        let isASCII = address.utf8.allSatisfy { $0 < 0x80 }
        return isASCII || capabilities.offersUTF8 ? nil : "the address needs SMTPUTF8, which the server does not offer"
    }

    // MARK: Commands

    private mutating func beginHead(into actions: inout [Action]) {
        guard var transaction = head, !transaction.isBegun else { return }
        transaction.isBegun = true
        var commands = ByteBuffer()
        if usesPipelining {
            writeGroup(&transaction, to: &commands)
        } else if needsReset {
            transaction.step = .reset
            commands.writeString("RSET\r\n")
        } else {
            writeMail(transaction, to: &commands)
        }
        head = transaction
        actions.append(.write(commands))
    }

    /// Sends the commands of the next message behind the final dot of the present one.
    private mutating func writeNextGroup(into actions: inout [Action]) {
        guard usesPipelining, head?.step == .content, var transaction = next, !transaction.isBegun else { return }
        transaction.isBegun = true
        var commands = ByteBuffer()
        writeGroup(&transaction, to: &commands)
        next = transaction
        actions.append(.write(commands))
    }

    private mutating func writeGroup(_ transaction: inout SMTPTransaction, to commands: inout ByteBuffer) {
        transaction.isGrouped = true
        commands.reserveCapacity(160 + transaction.order.count * 80)
        if needsReset {
            transaction.step = .reset
            commands.writeString("RSET\r\n")
        }
        writeMail(transaction, to: &commands)
        for index in transaction.order { writeRecipient(transaction.message.recipients[index], to: &commands) }
        commands.writeStaticString("DATA\r\n")
    }

    private func writeMail(_ transaction: SMTPTransaction, to commands: inout ByteBuffer) {
        let message = transaction.message
        commands.writeStaticString("MAIL FROM:<")
        commands.writeString(message.sender)
        commands.writeStaticString(">")
        if capabilities.size != nil { commands.writeString(" SIZE=\(message.content.octetCount)") }
        if message.content.isEightBit { commands.writeStaticString(" BODY=8BITMIME") }
        let needsUTF8 =
            message.hasUTF8Headers || !message.sender.utf8.allSatisfy { $0 < 0x80 }
            || transaction.order.contains { !message.recipients[$0].utf8.allSatisfy { $0 < 0x80 } }
        if needsUTF8 { commands.writeStaticString(" SMTPUTF8") }
        commands.writeStaticString("\r\n")
    }

    private func writeRecipient(_ recipient: String, to commands: inout ByteBuffer) {
        commands.writeStaticString("RCPT TO:<")
        commands.writeString(recipient)
        commands.writeStaticString(">\r\n")
    }

    // MARK: Answers

    mutating func receiveTransaction(_ reply: SMTPReply, into actions: inout [Action]) {
        guard let step = head?.step else {
            return breakDown(
                SMTPFailure(outcome: .retryable, reason: "an answer without a question: \(reply.summary)"),
                into: &actions)
        }
        switch step {
        case .reset: receiveReset(reply, into: &actions)
        case .mail: receiveMail(reply, into: &actions)
        case .recipient(let position): receiveRecipient(reply, position, into: &actions)
        case .data: receiveData(reply, into: &actions)
        case .content: receiveFinal(reply, into: &actions)
        case .emptyContent: finishHead(into: &actions)
        }
    }

    private mutating func receiveReset(_ reply: SMTPReply, into actions: inout [Action]) {
        guard reply.kind == 2 else { return unexpected(reply, into: &actions) }
        needsReset = false
        head?.step = .mail
        guard let head, !head.isGrouped else { return }
        var commands = ByteBuffer()
        writeMail(head, to: &commands)
        actions.append(.write(commands))
    }

    private mutating func receiveMail(_ reply: SMTPReply, into actions: inout [Action]) {
        guard var transaction = head else { return }
        transaction.isTouched = true
        switch reply.kind {
        case 2:
            transaction.isMailAccepted = true
            needsReset = true
        case 4, 5:
            transaction.settleRest(outcome(of: reply, at: .mail), reply, "MAIL refused: \(reply.summary)")
        default: return unexpected(reply, into: &actions)
        }
        transaction.step = .recipient(0)
        let isOver = !transaction.isMailAccepted && !transaction.isGrouped
        head = transaction
        if isOver { return finishHead(into: &actions) }
        writeStep(into: &actions)
    }

    private mutating func receiveRecipient(_ reply: SMTPReply, _ position: Int, into actions: inout [Action]) {
        guard var transaction = head else { return }
        let index = transaction.order[position]
        switch reply.kind {
        case 2:
            if transaction.isMailAccepted { transaction.acceptedCount += 1 }
        case 4, 5:
            // After a refused MAIL these answers only say that the sequence is wrong.
            if transaction.isMailAccepted {
                transaction.settle(
                    index, outcome(of: reply, at: .recipient(position)), reply, "RCPT refused: \(reply.summary)")
            }
        default: return unexpected(reply, into: &actions)
        }
        let isLast = position + 1 == transaction.order.count
        transaction.step = isLast ? .data : .recipient(position + 1)
        let isOver = isLast && transaction.acceptedCount == 0 && !transaction.isGrouped
        head = transaction
        if isOver { return finishHead(into: &actions) }
        writeStep(into: &actions)
    }

    /// Without PIPELINING each answer is followed by the next command.
    private func writeStep(into actions: inout [Action]) {
        guard let head, !head.isGrouped else { return }
        var commands = ByteBuffer()
        switch head.step {
        case .recipient(let position): writeRecipient(head.message.recipients[head.order[position]], to: &commands)
        case .data: commands.writeStaticString("DATA\r\n")
        case .reset, .mail, .content, .emptyContent: return
        }
        actions.append(.write(commands))
    }

    private mutating func receiveData(_ reply: SMTPReply, into actions: inout [Action]) {
        // The final dot ends the server's transaction, whatever the answer to it.
        if reply.kind == 3 { needsReset = false }
        switch reply.kind {
        case 3 where (head?.acceptedCount ?? 0) > 0:
            head?.step = .content
            writeContent(into: &actions)
            writeNextGroup(into: &actions)
        case 3:
            head?.step = .emptyContent
            actions.append(.write(ByteBuffer(string: ".\r\n")))
        case 4, 5:
            let refusal = outcome(of: reply, at: .data)
            let reason = "DATA refused: \(reply.summary)"
            head?.settleRest(refusal, reply, reason)
            finishHead(into: &actions)
        default: unexpected(reply, into: &actions)
        }
    }

    private func writeContent(into actions: inout [Action]) {
        guard var content = head?.message.content.encoded else { return }
        let blockBytes = 65_536
        while content.readableBytes > blockBytes, let block = content.readSlice(length: blockBytes) {
            actions.append(.writeContent(block, isLast: false))
        }
        actions.append(.writeContent(content, isLast: true))
    }

    private mutating func receiveFinal(_ reply: SMTPReply, into actions: inout [Action]) {
        guard var transaction = head else { return }
        let isEarly = !transaction.isContentWritten
        switch reply.kind {
        case 2 where !isEarly:
            for index in transaction.order where transaction.settled[index] == nil {
                transaction.settle(index, .accepted, reply, reply.summary)
            }
        case 4, 5:
            transaction.settleRest(outcome(of: reply, at: .content), reply, "message refused: \(reply.summary)")
        default:
            // A success before the end, or no final answer at all: whether the server has it is not known.
            head?.isContentWritten = true
            return unexpected(reply, into: &actions)
        }
        head = transaction
        finishHead(into: &actions)
        // Refused in the middle of the content: what is still being written would be read as commands.
        if isEarly {
            breakDown(SMTPFailure(outcome: .retryable, reason: "the server answered early"), into: &actions)
        }
    }

    private mutating func finishHead(into actions: inout [Action]) {
        guard let done = head else { return }
        actions.append(.complete(ticket: done.ticket, done.report))
        head = next
        next = nil
        beginHead(into: &actions)
    }

    private mutating func unexpected(_ reply: SMTPReply, into actions: inout [Action]) {
        breakDown(
            SMTPFailure(outcome: .retryable, reason: "unexpected answer to \(stepName): \(reply.summary)"),
            into: &actions)
    }

    /// Source: RFC 5321 section 4.2.1 (the first digit decides) and 4.5.3.1.10 (552 at RCPT means too many); RFC 4954
    /// section 6 (530 and 535).
    private func outcome(of reply: SMTPReply, at step: SMTPTransaction.Step) -> SMTPOutcome {
        if reply.kind == 4 { return .retryable }
        if reply.code == 530 || reply.code == 535 || reply.code == 538 { return .unauthorized }
        if case .recipient = step, reply.code == 552 { return .retryable }
        return .permanent
    }
}
