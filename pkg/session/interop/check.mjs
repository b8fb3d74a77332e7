// Checks a recorded session with another implementation of HPKE, and with
// parsers and signature checks written from the protocol alone.
// Then it seals as a client of its own would. Prints what it made, as JSON.
// Usage: node check.mjs session.json

import assert from 'node:assert/strict'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as HPKE from 'hpke'
import { KEM_MLKEM768_P256 } from '@panva/hpke-noble'

const kems = {
  'sigilo.v1.p256': HPKE.KEM_DHKEM_P256_HKDF_SHA256,
  'sigilo.v1.mlkem768p256': KEM_MLKEM768_P256,
}

const v = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const bin = (text) => Buffer.from(text, 'base64url')
const bind = (label, ...parts) =>
  Buffer.concat([Buffer.from(label + '\0'), createHash('sha256').update(Buffer.concat(parts)).digest()])

// A reader of length-prefixed fields.
class Reader {
  constructor(bytes) {
    this.bytes = bytes
    this.at = 0
  }
  fixed(n) {
    assert(this.at + n <= this.bytes.length, 'field past the end')
    return this.bytes.subarray(this.at, (this.at += n))
  }
  prefixed(lengthSize) {
    return this.fixed(this.fixed(lengthSize).readUIntBE(0, lengthSize))
  }
  list(lengthSize, itemLengthSize) {
    const items = new Reader(this.prefixed(lengthSize))
    const out = []
    while (items.at < items.bytes.length) out.push(items.prefixed(itemLengthSize))
    return out
  }
  end() {
    assert.equal(this.at, this.bytes.length, 'trailing bytes')
  }
}

function message(bytes, type) {
  const r = new Reader(bytes)
  assert.deepEqual([...r.fixed(2)], [1, type])
  return r
}

function checkSignature(spki, signed, signature) {
  const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  assert(verify('sha256', signed, key, signature), 'signature')
}

const start = bin(v.start)
const hello = bin(v.hello)
const auth = bin(v.auth)

let r = message(start, 1)
assert.deepEqual(r.fixed(32), bin(v.client_rand).subarray(0, 32))
const clientKey = r.prefixed(2)
assert.deepEqual(r.list(1, 1).map(String), v.offered)
r.end()

r = message(hello, 2)
assert.deepEqual(r.fixed(16), bin(v.server_rand).subarray(0, 16))
const serverKey = r.prefixed(2)
assert.equal(String(r.prefixed(1)), v.mode)
assert.deepEqual(r.list(3, 2), v.server_chain.map(bin))
assert.equal(Number(r.fixed(8).readBigUInt64BE()), v.time)
checkSignature(bin(v.server_chain[0]), bind('sigilo/hello/v1', start, hello.subarray(0, r.at)), r.prefixed(2))
r.end()

const suite = new HPKE.CipherSuite(kems[v.mode], HPKE.KDF_HKDF_SHA256, HPKE.AEAD_AES_256_GCM)
const client = await suite.DeriveKeyPair(bin(v.client_rand).subarray(32), true)
const server = await suite.DeriveKeyPair(bin(v.server_rand).subarray(16), true)
for (const [pair, publicKey, privateKey] of [
  [client, clientKey, v.client_hpke],
  [server, serverKey, v.server_hpke],
]) {
  assert.deepEqual(Buffer.from(await suite.SerializePublicKey(pair.publicKey)), publicKey)
  assert.deepEqual(Buffer.from(await suite.SerializePrivateKey(pair.privateKey)), bin(privateKey))
}

r = message(auth, 3)
let enc = r.prefixed(2)
const authHead = auth.subarray(0, r.at)
const c2s = await suite.SetupRecipient(server, enc, { info: bind('sigilo/c2s/v1', start, hello) })
const credentials = new Reader(Buffer.from(await c2s.Open(r.prefixed(3))))
r.end()
assert.equal(String(credentials.prefixed(2)), v.token)
assert.deepEqual(credentials.list(3, 2), v.client_chain.map(bin))
checkSignature(bin(v.client_chain[0]), bind('sigilo/auth/v1', start, hello, authHead), credentials.prefixed(2))
credentials.end()

r = message(bin(v.ready), 4)
enc = r.prefixed(2)
const exported = Buffer.from(await c2s.Export(Buffer.from('sigilo/s2c/v1'), 32))
const info = Buffer.concat([bind('sigilo/s2c/v1', start, hello, auth), exported])
const s2c = await suite.SetupRecipient(client, enc, { info })
assert.deepEqual(Buffer.from(await s2c.Open(r.prefixed(3))), bin(v.payload))
r.end()

for (const { message, frame } of v.client_frames) {
  const padded = Buffer.from(await c2s.Open(bin(frame)))
  const want = bin(message)
  assert.equal(padded.length, want.length + 4 <= 4096 ? 4096 : 16384)
  assert.equal(padded.readUInt32BE(), want.length)
  assert.deepEqual(padded.subarray(4, 4 + want.length), want)
  assert(padded.subarray(4 + want.length).every((b) => b === 0))
}
for (const { message, frame } of v.server_frames) {
  assert.deepEqual(Buffer.from(await s2c.Open(bin(frame))), bin(message))
}

const { encapsulatedSecret, ctx } = await suite.SetupSender(server.publicKey, { info: bin(v.info_c2s) })
const text = (bytes) => Buffer.from(bytes).toString('base64url')
console.log(
  JSON.stringify({
    enc: text(encapsulatedSecret),
    sealed: text(await ctx.Seal(Buffer.from('from elsewhere'))),
    exported: text(await ctx.Export(Buffer.from('sigilo/s2c/v1'), 32)),
  }),
)
