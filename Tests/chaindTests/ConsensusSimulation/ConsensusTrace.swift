// What is printed of a history of a group with an engine that is played again.

import Chain

@testable import chaind

extension ConsensusSimulation {
    func description(_ transaction: EtcdTransaction, _ answer: EtcdTransactionAnswer) -> String {
        let comparisons = transaction.comparisons.map { comparison in
            switch comparison {
            case .createRevision(let key, let revision): "\(short(key)) made at \(revision)"
            case .modRevision(let key, let revision): "\(short(key)) written at \(revision)"
            }
        }
        let writes = (answer.isSucceeded ? transaction.success : transaction.failure).compactMap { operation in
            switch operation {
            case .put(let key, _, let leaseID): "put \(short(key))" + (leaseID.map { " with lease \($0)" } ?? "")
            case .delete(let range): "delete \(short(range.key))"
            case .range: nil
            }
        }
        return """
            \(comparisons) \(answer.isSucceeded ? "yes" : "no"), revision \(answer.revision): \
            \(writes.joined(separator: ", "))
            """
    }

    private func short(_ key: String) -> String {
        let path = key.split(separator: "/", maxSplits: 1).last.map(String.init) ?? key
        return path.replacing("http://localhost:800", with: "").replacing(/0{4,}/, with: "")
    }

    func description(of operation: Int, _ result: Result<[Block], AppendError>) -> String {
        let request = ledger.operations[operation].request.map { ledger.requests[$0] }
        let texts = request?.texts.map { $0.prefix(12) } ?? []
        return switch result {
        case .success(let blocks): "\(texts) appended at \(blocks.map(\.height))"
        case .failure(let error): "\(texts) refused: \(error)"
        }
    }
}
