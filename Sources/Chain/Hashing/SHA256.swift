// The hash of a block, by OpenSSL's low-level SHA-256. See docs/format.md for the preimage.

import CSystemLibs

/// SHA-256 (FIPS 180-4) of blocks and of plain bytes.
enum SHA256 {
    /// Set in the timestamp of a block's preimage, and of its stored form, when the block has an origin.
    static let originFlag: UInt64 = 1 << 63

    /// What a preimage holds before the data: previous hash, timestamp, and the origin's hash and height if there is one.
    private static let headerSizeBytesMax = 32 + 8 + 32 + 8

    /// Data up to here is hashed from a buffer on the stack, padded there, with one call for all its SHA-256 blocks. Swift
    /// takes a buffer of more than 1,024 bytes from the heap.
    private static let paddedDataSizeBytesMax = 1024 - headerSizeBytesMax - 72

    /// The hash of a block from its parts.
    @inline(__always)
    static func hashOfBlock(
        previousHash: Hash, timestamp: Int64, origin: Origin?, data: UnsafeRawBufferPointer
    ) -> Hash {
        let capacity = headerSizeBytesMax + paddedDataSizeBytesMax + 72
        return withUnsafeTemporaryAllocation(byteCount: capacity, alignment: 16) { buffer in
            guard let preimage = buffer.baseAddress else { return .zero }
            previousHash.store(to: preimage)
            var size = 40
            if let origin {
                preimage.storeBytes(
                    of: (UInt64(bitPattern: timestamp) | originFlag).bigEndian, toByteOffset: 32, as: UInt64.self)
                origin.hash.store(to: preimage + 40)
                preimage.storeBytes(of: Int64(origin.height).bigEndian, toByteOffset: 72, as: Int64.self)
                size = 80
            } else {
                preimage.storeBytes(of: timestamp.bigEndian, toByteOffset: 32, as: Int64.self)
            }
            if data.count <= paddedDataSizeBytesMax {
                return hashPadded(preimage, headerSizeBytes: size, data: data)
            }
            var context = SHA256_CTX()
            SHA256_Init(&context)
            SHA256_Update(&context, preimage, size)
            SHA256_Update(&context, data.baseAddress, data.count)
            SHA256_Final(preimage.assumingMemoryBound(to: UInt8.self), &context)
            return Hash(loading: preimage)
        }
    }

    /// Appends the data and SHA-256's padding to the header, so that OpenSSL sees whole blocks and buffers nothing.
    @inline(__always)
    private static func hashPadded(
        _ preimage: UnsafeMutableRawPointer, headerSizeBytes: Int, data: UnsafeRawBufferPointer
    ) -> Hash {
        if let base = data.baseAddress, data.count > 0 {
            (preimage + headerSizeBytes).copyMemory(from: base, byteCount: data.count)
        }
        let size = headerSizeBytes + data.count
        let paddedSize = (size + 9 + 63) & ~63
        preimage.storeBytes(of: 0x80, toByteOffset: size, as: UInt8.self)
        (preimage + size + 1).initializeMemory(as: UInt8.self, repeating: 0, count: paddedSize - size - 9)
        preimage.storeBytes(of: UInt64(size * 8).bigEndian, toByteOffset: paddedSize - 8, as: UInt64.self)
        var context = SHA256_CTX()
        SHA256_Init(&context)
        SHA256_Update(&context, preimage, paddedSize)
        let (h0, h1, h2, h3, h4, h5, h6, h7) = context.h
        return Hash(stateWords: (h0, h1, h2, h3, h4, h5, h6, h7))
    }

    /// The hash of plain bytes.
    static func hash(_ bytes: UnsafeRawBufferPointer) -> Hash {
        withUnsafeTemporaryAllocation(byteCount: Hash.sizeBytes, alignment: 16) { digest in
            guard let base = digest.baseAddress else { return .zero }
            var context = SHA256_CTX()
            SHA256_Init(&context)
            SHA256_Update(&context, bytes.baseAddress, bytes.count)
            SHA256_Final(base.assumingMemoryBound(to: UInt8.self), &context)
            return Hash(loading: base)
        }
    }
}

extension Hash {
    /// The SHA-256 of plain bytes: `Array(text.utf8).withUnsafeBytes { Hash(sha256: $0) }`.
    public init(sha256 bytes: UnsafeRawBufferPointer) {
        self = SHA256.hash(bytes)
    }
}
