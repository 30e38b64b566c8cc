// Everything that is measured: its name, its unit and what it means, in one place.

/// A family of figures of one name, as Prometheus knows it (https://prometheus.io/docs/practices/naming/).
struct Metric: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case counter, gauge
        /// The upper bounds of the buckets, ascending.
        case histogram([Double])
    }

    let name: String
    let kind: Kind
    let help: String

    init(_ name: String, _ kind: Kind, _ help: String) {
        self.name = name
        self.kind = kind
        self.help = help
    }

    private static let secondsBounds = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]

    // MARK: Counted and timed as it happens

    static let requestSeconds = Metric(
        "chaind_http_request_duration_seconds", .histogram(secondsBounds),
        "How long requests took until their answer began, by route and status.")
    static let appendedBlocks = Metric(
        "chaind_appended_blocks_total", .counter,
        "Blocks put at the end of the list since the start, without those of branches that were adopted.")
    static let batchBlocks = Metric(
        "chaind_append_batch_blocks", .histogram([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000]),
        "How many blocks one transaction put at the end of the list.")
    static let commitSeconds = Metric(
        "chaind_commit_duration_seconds", .histogram(secondsBounds),
        "How long the commits of transactions took, with the sync of the disk.")
    static let scrubbedBytes = Metric(
        "chaind_scrubbed_bytes_total", .counter, "Bytes at rest that the scrub has checked since the start.")

    /// Those that are recorded through swift-metrics, by their labels there.
    static let recorded = Dictionary(
        uniqueKeysWithValues: [requestSeconds, appendedBlocks, batchBlocks, commitSeconds, scrubbedBytes].map {
            ($0.name, $0)
        })

    // MARK: Looked at when they are asked for

    static let buildInfo = Metric("chaind_build_info", .gauge, "1, with the version of the program.")
    static let ready = Metric("chaind_ready", .gauge, "1 if the node is ready, as /ready says, else 0.")
    static let headHeight = Metric("chaind_head_height", .gauge, "The height of the last block.")
    static let headTimestamp = Metric(
        "chaind_head_timestamp_seconds", .gauge, "The timestamp of the last block, in seconds since the Unix epoch.")
    static let validatedHeight = Metric(
        "chaind_validated_height", .gauge, "Blocks up to this height were found good since the start; -1 for none.")
    static let settledHeight = Metric(
        "chaind_settled_height", .gauge, "Blocks up to this height are replaced only if an operator says so.")
    static let finalHeight = Metric("chaind_final_height", .gauge, "Blocks up to this height are never replaced.")
    static let damagedBlocks = Metric(
        "chaind_damaged_blocks", .gauge, "Blocks that are damaged on disk and not yet repaired, at most 100.")
    static let structureDamaged = Metric(
        "chaind_structure_damaged", .gauge, "1 if the structure of the database file is damaged, else 0.")
    static let repairs = Metric("chaind_repairs_total", .counter, "Blocks that were ever repaired.")
    static let orphans = Metric("chaind_orphans_total", .counter, "Blocks that were ever replaced after a fork.")
    static let pendingOrphans = Metric(
        "chaind_pending_orphans", .gauge, "Replaced blocks whose text is not in the list again yet.")
    static let reorganisations = Metric(
        "chaind_reorganisations_total", .counter, "How often blocks were replaced since the start.")
    static let validationTime = Metric(
        "chaind_validation_timestamp_seconds", .gauge,
        "When the last validation of the whole list ended, in seconds since the Unix epoch.")
    static let validationSeconds = Metric(
        "chaind_validation_duration_seconds", .gauge, "How long the last validation of the whole list took.")
    static let validationRate = Metric(
        "chaind_validation_blocks_per_second", .gauge, "How many blocks a second the last validation checked.")
    static let validationValid = Metric(
        "chaind_validation_valid", .gauge, "1 if the last validation found the whole list valid, else 0.")
    static let scrubTime = Metric(
        "chaind_scrub_timestamp_seconds", .gauge,
        "When the scrub last came to the end of the list, in seconds since the Unix epoch.")
    static let memberUp = Metric(
        "chaind_member_up", .gauge, "1 if a member is in the state up, else 0.")
    static let memberState = Metric(
        "chaind_member_state", .gauge, "1 for the state that a member is in: up, failing, removed or conflict.")
    static let memberLag = Metric(
        "chaind_member_lag_blocks", .gauge, "How many blocks shorter a member's list is than this node's.")
    static let memberFailures = Metric(
        "chaind_member_failures", .gauge, "Health checks of a member that failed in a row.")
    static let memberContact = Metric(
        "chaind_member_last_contact_seconds", .gauge, "How long ago a member was heard of last.")
    static let consensusState = Metric(
        "chaind_consensus_state", .gauge,
        "1 for what this node is in a group with an engine: leading, following, waiting or blocked.")
    static let consensusTakesAppends = Metric(
        "chaind_consensus_takes_appends", .gauge,
        "1 if this node has its place in a group with an engine and etcd answers it, else 0.")
    static let listeners = Metric("chaind_event_listeners", .gauge, "Who listens to the events of the list.")
    static let bufferedBytes = Metric(
        "chaind_buffered_bytes", .gauge, "What requests and answers under way take of their memory.")
    static let databaseBytes = Metric(
        "chaind_database_bytes", .gauge, "The size of the database file and its WAL.")
    static let diskFreeBytes = Metric(
        "chaind_disk_free_bytes", .gauge, "What is free where the database is.")
    static let processorSeconds = Metric(
        "process_cpu_seconds_total", .counter, "Total user and system CPU time spent in seconds.")
    static let residentBytes = Metric("process_resident_memory_bytes", .gauge, "Resident memory size in bytes.")
    static let openFiles = Metric("process_open_fds", .gauge, "Number of open file descriptors.")
    static let openFilesMax = Metric("process_max_fds", .gauge, "Maximum number of open file descriptors.")
    static let startTime = Metric(
        "process_start_time_seconds", .gauge, "Start time of the process since unix epoch in seconds.")
}
