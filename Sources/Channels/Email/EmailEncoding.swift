internal import Foundation

/// Body encodings: quoted-printable and base64, both with CRLF and lines of at most 76 octets.
///
/// Source: RFC 2045 sections 6.7 and 6.8.
enum EmailEncoding {
    private static let hexDigits = Array("0123456789ABCDEF".utf8)

    static func appendHex(_ byte: UInt8, to output: inout [UInt8]) {
        output.append(0x3D)
        output.append(hexDigits[Int(byte >> 4)])
        output.append(hexDigits[Int(byte & 15)])
    }

    static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    /// Base64 in lines of 76.
    static func base64Lines(_ bytes: [UInt8]) -> [UInt8] {
        let data = Data(bytes).base64EncodedData(options: [
            .lineLength76Characters, .endLineWithCarriageReturn, .endLineWithLineFeed,
        ])
        return [UInt8](data) + [0x0D, 0x0A]
    }

    /// Quoted-printable of a text whose lines end in LF.
    ///
    /// A dot and `From ` at the start of a line are encoded too, since some programs on the way change them.
    static func quotedPrintable(_ bytes: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 8 + 64)
        bytes.withUnsafeBufferPointer { input in
            var column = 0
            var index = 0
            while index < input.count {
                let end = plainRun(input, from: index, column: column)
                if end > index {
                    output.append(contentsOf: UnsafeBufferPointer(rebasing: input[index..<end]))
                    column += end - index
                    index = end
                }
                defer { index += 1 }
                let byte = input[index]
                if byte == 0x0A {
                    output.append(0x0D)
                    output.append(0x0A)
                    column = 0
                    continue
                }
                let isLast = index + 1 == input.count || input[index + 1] == 0x0A
                let plain = isPlain(byte, isLast: isLast, isFirst: column == 0, rest: input[index...])
                let width = plain ? 1 : 3
                // 75 and the `=` of a soft break; the last of a line may take the 76th place.
                if column + width > (isLast ? 76 : 75) {
                    output.append(contentsOf: [0x3D, 0x0D, 0x0A])
                    column = 0
                    appendCarried(byte, plain: plain && byte != 0x2E && byte != 0x46, to: &output)
                    column = plain && byte != 0x2E && byte != 0x46 ? 1 : 3
                    continue
                }
                appendCarried(byte, plain: plain, to: &output)
                column += width
            }
        }
        if output.count < 2 || output[output.count - 1] != 0x0A { output.append(contentsOf: [0x0D, 0x0A]) }
        return output
    }

    /// The end of what can be copied as it is from `start` on: most of every text.
    ///
    /// It stops before what may be the last of a line, and before the place of a soft break; the first place of a line
    /// has rules of its own.
    @inline(__always)
    private static func plainRun(_ input: UnsafeBufferPointer<UInt8>, from start: Int, column: Int) -> Int {
        guard column > 0 else { return start }
        let limit = min(input.count - 1, start + 74 - column)
        var end = start
        while end < limit, input[end] >= 0x20, input[end] < 0x7F, input[end] != 0x3D { end += 1 }
        return end > start && input[end] == 0x0A ? end - 1 : end
    }

    @inline(__always)
    private static func appendCarried(_ byte: UInt8, plain: Bool, to output: inout [UInt8]) {
        if plain { output.append(byte) } else { appendHex(byte, to: &output) }
    }

    @inline(__always)
    private static func isPlain(
        _ byte: UInt8, isLast: Bool, isFirst: Bool, rest: Slice<UnsafeBufferPointer<UInt8>>
    ) -> Bool {
        switch byte {
        case 0x20, 0x09: return !isLast
        case 0x3D: return false
        case 0x2E: return !isFirst
        case 0x46: return !(isFirst && rest.starts(with: [0x46, 0x72, 0x6F, 0x6D, 0x20]))
        case 0x21...0x7E: return true
        default: return false
        }
    }
}
