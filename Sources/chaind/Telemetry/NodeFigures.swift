// What a node knows of itself and of its group, for `GET /metrics`.

import Chain
import Glibc
import Logging
import NIOPosix

/// Looks at everything that is not counted as it happens.
struct NodeFigures: Sendable {
    let replica: Replica
    let memory: MemoryBudget
    let listeners: ListenerCount
    let verification: Verification
    let databasePath: String
    /// When the process began, in seconds since the Unix epoch.
    let startedTime: Int64
    let logger: Logger

    /// The figures of now.
    ///
    /// - Throws: `CancellationError` if the threads that read files are shut down.
    var families: [MetricFamily] {
        get async throws {
            let files = try await NIOThreadPool.singleton.runIfActive { [databasePath] in
                fileFigures(of: databasePath) + processFigures()
            }
            return [
                MetricFamily(
                    .buildInfo, [MetricSample(labels: [.init(name: "version", value: Chaind.version)], value: 1)])
            ] + listFigures + (await countFigures) + verificationFigures + (await groupFigures) + files + [
                MetricFamily(.listeners, Double(listeners.value)),
                MetricFamily(.bufferedBytes, Double(memory.takenBytes)),
                MetricFamily(.startTime, Double(startedTime)),
            ]
        }
    }

    private var listFigures: [MetricFamily] {
        let status = replica.list.status
        return [
            MetricFamily(.headHeight, Double(status.height)),
            MetricFamily(.headTimestamp, Double(status.headTimestamp)),
            MetricFamily(.validatedHeight, Double(status.validatedHeight ?? -1)),
            MetricFamily(.settledHeight, Double(status.settledHeight)),
            MetricFamily(.finalHeight, Double(status.finalHeight)),
            MetricFamily(.damagedBlocks, Double(status.damagedHeights.count)),
            MetricFamily(.structureDamaged, status.structureFault == nil ? 0 : 1),
            MetricFamily(.reorganisations, Double(status.reorganisations)),
        ]
    }

    /// Nothing where the database cannot be read: that is when the other figures are needed most.
    private var countFigures: [MetricFamily] {
        get async {
            do throws(ReadError) {
                let counts = try await replica.list.counts()
                return [
                    MetricFamily(.repairs, Double(counts.repairs)), MetricFamily(.orphans, Double(counts.orphans)),
                    MetricFamily(.pendingOrphans, Double(counts.pendingOrphans)),
                ]
            } catch {
                logger.error("orphans and repairs cannot be counted", metadata: ["reason": "\(error)"])
                return []
            }
        }
    }

    /// Nothing before the first validation.
    private var verificationFigures: [MetricFamily] {
        var families: [MetricFamily] = []
        if let validation = verification.validation {
            families = [
                MetricFamily(.validationTime, Double(validation.endedTime)),
                MetricFamily(.validationSeconds, validation.durationSeconds),
                MetricFamily(.validationRate, Double(validation.blocks) / max(validation.durationSeconds, 1e-9)),
                MetricFamily(.validationValid, validation.isValid ? 1 : 0),
            ]
        }
        if let time = verification.scrubEndedTime { families.append(MetricFamily(.scrubTime, Double(time))) }
        return families
    }

    private var groupFigures: [MetricFamily] {
        get async {
            let group = await replica.groupAnswer
            func family(
                _ metric: Metric, _ value: (GroupAnswer.Member) -> Double?
            ) -> MetricFamily {
                MetricFamily(
                    metric,
                    group.members.compactMap { member in
                        value(member).map { MetricSample(labels: [.member(member.address)], value: $0) }
                    })
            }
            let states = group.members.map {
                MetricSample(labels: [.member($0.address), .init(name: "state", value: $0.state)], value: 1)
            }
            let consensus = group.consensus.map {
                MetricSample(labels: [.init(name: "state", value: $0.state)], value: 1)
            }
            return [
                family(.memberUp) { $0.state == MemberState.up.rawValue ? 1 : 0 },
                MetricFamily(.memberState, states),
                family(.memberLag) { $0.lagBlocks.map(Double.init) },
                family(.memberFailures) { Double($0.failures) },
                family(.memberContact) { $0.lastContactSeconds },
                MetricFamily(.consensusState, [consensus].compactMap(\.self)),
                MetricFamily(
                    .consensusTakesAppends,
                    [group.consensus].compactMap(\.self).map { MetricSample(value: $0.takesAppends ? 1 : 0) }),
            ]
        }
    }
}

extension MetricSample.Label {
    fileprivate static func member(_ address: String) -> MetricSample.Label {
        MetricSample.Label(name: "member", value: address)
    }
}

/// How much the database takes, and how much is free there; what cannot be found out is left out.
private func fileFigures(of path: String) -> [MetricFamily] {
    var families: [MetricFamily] = []
    let sizes = [path, path + "-wal"].compactMap { path -> Int? in
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }
    if !sizes.isEmpty { families.append(MetricFamily(.databaseBytes, Double(sizes.reduce(0, +)))) }
    var disk = statvfs()
    if statvfs(path, &disk) == 0 {
        families.append(MetricFamily(.diskFreeBytes, Double(disk.f_bavail) * Double(disk.f_frsize)))
    }
    return families
}

/// What the process takes (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics).
private func processFigures() -> [MetricFamily] {
    var families: [MetricFamily] = []
    var usage = rusage()
    if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
        let seconds = [usage.ru_utime, usage.ru_stime].map { Double($0.tv_sec) + Double($0.tv_usec) / 1e6 }
        families.append(MetricFamily(.processorSeconds, seconds.reduce(0, +)))
    }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
        families.append(MetricFamily(.openFilesMax, Double(limit.rlim_cur)))
    }
    if let pages = residentPages {
        families.append(MetricFamily(.residentBytes, pages * Double(sysconf(Int32(_SC_PAGESIZE)))))
    }
    if let files = opendir("/proc/self/fd") {
        // Without the two names of folders, and the descriptor that reads them.
        var count = -3
        while readdir(files) != nil { count += 1 }
        closedir(files)
        families.append(MetricFamily(.openFiles, Double(count)))
    }
    return families
}

/// proc(5), `statm`: the second word.
private var residentPages: Double? {
    guard let file = fopen("/proc/self/statm", "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return nil }
    let words = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
    return words.count > 1 ? Double(words[1]) : nil
}
