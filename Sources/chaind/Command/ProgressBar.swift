// Shows on a terminal how far long work is. Its state (when it began, when it was drawn last) is its own.

import Glibc
import Synchronization

/// One line on stderr, redrawn in place; nothing where stderr is not a terminal.
final class ProgressBar: Sendable {
    /// How far the work is.
    struct Progress: Equatable, Sendable {
        /// Blocks so far: what the rate counts.
        var blocks: Int
        /// What is done, in the unit of `total`.
        var done: Int
        /// All there is to do; `nil` where that is not known.
        var total: Int?
    }

    /// The line is not drawn more often, in seconds.
    static let intervalSeconds = 0.1

    private struct State {
        var startSeconds: Double
        var drawnSeconds: Double?
    }

    private let label: String
    private let isShown: Bool
    private let now: @Sendable () -> Double
    private let write: @Sendable (String) -> Void
    private let state: Mutex<State>

    /// Starts the clock.
    ///
    /// - Parameters:
    ///   - now: seconds of a clock that never goes back.
    ///   - write: takes what is drawn.
    init(
        label: String, isShown: Bool, now: @escaping @Sendable () -> Double = ProgressBar.monotonicSeconds,
        write: @escaping @Sendable (String) -> Void = StandardError.write
    ) {
        self.label = label
        self.isShown = isShown
        self.now = now
        self.write = write
        state = Mutex(State(startSeconds: now(), drawnSeconds: nil))
    }

    /// Draws the progress, unless the last drawing is too recent.
    func show(_ progress: Progress) {
        guard isShown else { return }
        state.withLock { state in
            let seconds = now()
            if let drawn = state.drawnSeconds, seconds - drawn < ProgressBar.intervalSeconds { return }
            state.drawnSeconds = seconds
            let line = ProgressBar.line(
                label: label, progress: progress, elapsedSeconds: seconds - state.startSeconds,
                columns: StandardError.columns)
            write("\r" + line + "\u{1B}[K")
        }
    }

    /// Removes the line from the terminal.
    func erase() {
        state.withLock { state in
            guard state.drawnSeconds != nil else { return }
            state.drawnSeconds = nil
            write("\r\u{1B}[K")
        }
    }

    /// The line as text, shorter than `columns` so that it does not wrap.
    static func line(label: String, progress: Progress, elapsedSeconds: Double, columns: Int) -> String {
        var parts = [label]
        if let total = progress.total, total > 0 {
            let fraction = min(1, Double(progress.done) / Double(total))
            let cells = 24
            let filled = Int(fraction * Double(cells))
            let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: cells - filled)
            parts.append("[\(bar)] \(Int(fraction * 100))%")
        }
        parts.append("\(progress.blocks.grouped) blocks")
        if elapsedSeconds > 0 {
            parts.append("\((Double(progress.blocks) / elapsedSeconds).grouped)/s")
        }
        if let total = progress.total, progress.done > 0 {
            let left = elapsedSeconds / Double(progress.done) * Double(max(0, total - progress.done))
            parts.append("\(duration(left)) left")
        }
        return String(parts.joined(separator: "  ").prefix(max(0, columns - 1)))
    }

    /// Seconds as `h:mm:ss`, or `m:ss`.
    private static func duration(_ seconds: Double) -> String {
        let whole = Int(exactly: seconds.rounded(.up)) ?? .max
        func twoDigits(_ number: Int) -> String { (number < 10 ? "0" : "") + String(number) }
        let (hours, minutes) = (whole / 3600, whole / 60 % 60)
        let tail = twoDigits(whole % 60)
        return hours > 0 ? "\(hours):\(twoDigits(minutes)):\(tail)" : "\(minutes):\(tail)"
    }

    /// Seconds since the machine started.
    static let monotonicSeconds: @Sendable () -> Double = {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// The standard error stream: what a person reads, apart from the results.
enum StandardError {
    /// Whether a person watches it.
    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// The width of the terminal, or 80.
    static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes the text; what cannot be written is lost, as there is nowhere to say so.
    static let write: @Sendable (String) -> Void = { text in
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    /// Writes one line that begins with the program's name.
    static func say(_ message: String) { write("chaind: \(message)\n") }
}
