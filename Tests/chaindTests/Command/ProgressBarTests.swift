// What the progress bar draws, and how often.

import Synchronization
import Testing

@testable import chaind

struct ProgressBarTests {
    @Test func hasPercentageRateAndTimeLeft() {
        let line = ProgressBar.line(
            label: "verifying", progress: .init(blocks: 2_500_000, done: 25, total: 100), elapsedSeconds: 50,
            columns: 120)
        #expect(line == "verifying  [######..................] 25%  2,500,000 blocks  50,000/s  2:30 left")
    }

    @Test func showsHoursLeft() {
        let line = ProgressBar.line(
            label: "x", progress: .init(blocks: 1, done: 1, total: 7384), elapsedSeconds: 0.5, columns: 120)
        #expect(line.hasSuffix("1:01:32 left"))
    }

    @Test func hasNoBarWithoutATotal() {
        let line = ProgressBar.line(
            label: "importing", progress: .init(blocks: 1000, done: 5, total: nil), elapsedSeconds: 2, columns: 120)
        #expect(line == "importing  1,000 blocks  500/s")
    }

    @Test func takesAnythingWithoutAClock() {
        let line = ProgressBar.line(
            label: "x", progress: .init(blocks: 0, done: 0, total: 0), elapsedSeconds: 0, columns: 120)
        #expect(line == "x  0 blocks")
        let beyond = ProgressBar.line(
            label: "x", progress: .init(blocks: 9, done: 9, total: 3), elapsedSeconds: 1, columns: 120)
        #expect(beyond == "x  [########################] 100%  9 blocks  9/s  0:00 left")
    }

    @Test func isShorterThanTheTerminal() {
        let line = ProgressBar.line(
            label: "verifying", progress: .init(blocks: 10, done: 1, total: 2), elapsedSeconds: 1, columns: 20)
        #expect(line.count == 19)
    }

    /// A bar with a clock that the test sets, and what it draws.
    private final class Scene: Sendable {
        let seconds = Mutex(0.0)
        let drawn = Mutex<[String]>([])

        func bar(isShown: Bool) -> ProgressBar {
            ProgressBar(
                label: "x", isShown: isShown, now: { self.seconds.withLock { $0 } },
                write: { text in self.drawn.withLock { $0.append(text) } })
        }
    }

    @Test func isDrawnAtMostTenTimesASecondAndErased() {
        let scene = Scene()
        let bar = scene.bar(isShown: true)
        for step in 0..<1000 {
            scene.seconds.withLock { $0 = Double(step) / 500 }
            bar.show(.init(blocks: step, done: step, total: 1000))
        }
        let drawn = scene.drawn.withLock { $0 }
        #expect((19...21).contains(drawn.count))
        #expect(drawn.allSatisfy { $0.hasPrefix("\r") && $0.hasSuffix("\u{1B}[K") })
        bar.erase()
        bar.erase()
        #expect(scene.drawn.withLock { $0 }.dropFirst(drawn.count) == ["\r\u{1B}[K"])
    }

    @Test func drawsNothingWhereItIsNotShown() {
        let scene = Scene()
        let bar = scene.bar(isShown: false)
        bar.show(.init(blocks: 1, done: 1, total: 2))
        bar.erase()
        #expect(scene.drawn.withLock { $0 }.isEmpty)
    }
}
