public import Core

/// Where and how a server is reached, and how long its answers may take.
public struct SMTPConfiguration: Sendable, Hashable {
    /// How the connection is protected.
    public enum Security: String, Sendable, CaseIterable {
        /// Plain greeting, then STARTTLS, which must succeed; nothing is sent in the clear but EHLO.
        case startTLS = "starttls"
        /// TLS from the first byte (port 465).
        case implicitTLS = "implicit"
        /// No TLS; for a relay on this machine or a network that is trusted.
        case none
    }

    /// How a client proves who it is.
    public enum Mechanism: String, Sendable, CaseIterable {
        case plain = "PLAIN"
        case login = "LOGIN"
    }

    /// A user name and its password.
    public struct Credentials: Sendable, Hashable {
        public var username: String
        public var password: Secret
        /// The one mechanism to use; nil takes PLAIN, else LOGIN, of those the server offers.
        public var mechanism: Mechanism?

        /// Makes credentials.
        public init(username: String, password: Secret, mechanism: Mechanism?) {
            self.username = username
            self.password = password
            self.mechanism = mechanism
        }
    }

    public var host: String
    public var port: Int
    public var security: Security
    /// The name that the certificate must carry, where it is not `host`.
    public var serverName: String?
    /// A PEM file of certificate authorities that are trusted beside the system's.
    public var certificateAuthoritiesFile: String?
    public var credentials: Credentials?
    /// Allows AUTH without TLS, but only when the connected address is a loopback one.
    public var allowsPlaintextAuthenticationOnLoopback: Bool
    /// The name in EHLO; nil takes the address literal of the socket's own end.
    public var clientName: String?
    /// Whether PIPELINING is used where the server offers it.
    public var usesPipelining: Bool
    public var timeouts: SMTPTimeouts
    public var limits: SMTPLimits

    /// A configuration with the standard timeouts and limits, no credentials and the system's authorities.
    public init(host: String, port: Int, security: Security) {
        self.host = host
        self.port = port
        self.security = security
        allowsPlaintextAuthenticationOnLoopback = false
        usesPipelining = true
        timeouts = .standard
        limits = .standard
    }
}

/// How long each step of the dialogue may take before the connection is given up.
///
/// The answer to the final dot has ten minutes: a server that has accepted a message but answers after we gave up has
/// made a duplicate. Source: RFC 5321 section 4.5.3.2.
public struct SMTPTimeouts: Sendable, Hashable {
    public var connect: Duration
    public var greeting: Duration
    public var hello: Duration
    /// The answer to STARTTLS, and then the handshake.
    public var startTLS: Duration
    public var authentication: Duration
    public var mail: Duration
    public var recipient: Duration
    public var data: Duration
    /// One block of up to 64 KiB of the message has left this machine.
    public var dataBlock: Duration
    public var finalDot: Duration
    public var reset: Duration
    public var quit: Duration

    /// The defaults of the project.
    public static let standard = SMTPTimeouts(
        connect: .seconds(15), greeting: .seconds(60), hello: .seconds(60), startTLS: .seconds(30),
        authentication: .seconds(60), mail: .seconds(60), recipient: .seconds(60), data: .seconds(120),
        dataBlock: .seconds(180), finalDot: .seconds(600), reset: .seconds(10), quit: .seconds(5))
}

/// What one server is asked to bear.
public struct SMTPLimits: Sendable, Hashable {
    /// Connections open at a time; most mailboxes allow 3.
    public var connectionsMax: Int
    /// Messages on one connection before it is closed.
    public var messagesPerConnectionMax: Int
    /// Age at which a connection takes no further message.
    public var connectionAge: Duration
    /// An unused connection is closed after this time.
    public var idle: Duration
    /// Messages that wait for a connection; more are answered as retryable at once.
    public var waitingMax: Int
    /// Recipients of one message; RFC 5321 guarantees 100.
    public var recipientsMax: Int

    /// The defaults of the project.
    public static let standard = SMTPLimits(
        connectionsMax: 1, messagesPerConnectionMax: 100, connectionAge: .seconds(300), idle: .seconds(10),
        waitingMax: 1000, recipientsMax: 100)
}
