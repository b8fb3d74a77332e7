// Checks what Sigilo signs as JSON with other implementations of JOSE and SD-JWT,
// and prints what they make of the same kinds, for Sigilo to check.
// Usage: node check.mjs vectors.json

import assert from 'node:assert/strict'
import { createHash, createPublicKey, randomBytes, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SDJwtInstance } from '@sd-jwt/core'
import * as jose from 'jose'

const v = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const at = v.at / 1e6 // seconds
const issuer = `sigilo:ca:${v.house}`
const thumbprint = Buffer.from(v.thumbprint, 'hex').toString('base64url')
const holder = {
  key: await jose.importPKCS8(v.participant_key, 'ES256'),
  jwk: await jose.exportJWK(createPublicKey(v.participant_key)),
}

const ecdsa = { name: 'ECDSA', hash: 'SHA-256' }
const signer = (key) => async (data) =>
  Buffer.from(await webcrypto.subtle.sign(ecdsa, key, Buffer.from(data))).toString('base64url')
const verifier = (key) => async (data, signature) =>
  webcrypto.subtle.verify(ecdsa, key, Buffer.from(signature, 'base64url'), Buffer.from(data))
const sdjwt = (more) =>
  new SDJwtInstance({
    signAlg: 'ES256',
    kbSignAlg: 'ES256',
    hashAlg: 'sha-256',
    hasher: (data) => createHash('sha256').update(Buffer.from(data)).digest(),
    saltGenerator: () => randomBytes(16).toString('base64url'),
    kbVerifier: async (data, signature, payload) =>
      verifier(await jose.importJWK(payload.cnf.jwk, 'ES256'))(data, signature),
    ...more,
  })

async function checkToken() {
  const keys = jose.createLocalJWKSet(JSON.parse(v.key_set))
  const want = {
    algorithms: ['ES256'],
    typ: 'sigilo-session+jwt',
    issuer,
    audience: v.house,
    subject: v.participant,
    requiredClaims: ['iat', 'exp', 'jti', 'cnf'],
    currentDate: new Date(at * 1000),
  }
  const { payload } = await jose.jwtVerify(v.token, keys, want)
  assert.equal(payload.cnf['x5t#S256'], thumbprint)
  const ended = { ...want, currentDate: new Date((at + 15 * 60) * 1000) }
  await assert.rejects(jose.jwtVerify(v.token, keys, ended), jose.errors.JWTExpired)
  await assert.rejects(jose.jwtVerify(v.token, holder.jwk, want), jose.errors.JWSSignatureVerificationFailed)
}

async function checkKeySet() {
  for (const key of JSON.parse(v.key_set).keys) {
    const [purpose] = key.kid.split('-', 1)
    assert(['token', 'credential'].includes(purpose), purpose)
    assert.equal(key.kid, `${purpose}-${await jose.calculateJwkThumbprint(key)}`)
  }
}

async function checkProof() {
  const { payload, protectedHeader } = await jose.jwtVerify(v.proof, holder.jwk, { audience: v.house })
  assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'sigilo-proof+jwt' })
  assert.deepEqual(payload, { purpose: 'token', aud: v.house, nonce: v.nonce })
}

async function checkCredential() {
  const keys = JSON.parse(v.key_set).keys
  const key = await jose.importJWK(keys.find((k) => k.kid.startsWith('credential-')), 'ES256')
  const judge = sdjwt({ verifier: verifier(key) })
  const options = { currentDate: at, requiredClaimKeys: Object.keys(v.disclosed), keyBindingNonce: v.nonce }

  const { payload, header, kb } = await judge.verify(v.presentation, options)
  assert.equal(header.typ, 'sigilo-identity+sd-jwt')
  const { iss, iat, exp, cnf, ...claims } = payload
  assert.deepEqual(claims, v.disclosed)
  assert.equal(iss, issuer)
  assert.deepEqual(cnf.jwk, holder.jwk)
  assert(iat <= at && at < exp)
  assert.equal(kb.payload.aud, v.audience)

  await assert.rejects(judge.verify(v.presentation, { ...options, keyBindingNonce: 'nonce-2' }))
  await assert.rejects(sdjwt({ verifier: verifier(await jose.importJWK(holder.jwk, 'ES256')) }).verify(v.presentation, options))
  const more = await judge.presentableKeys(v.credential)
  assert(more.length > Object.keys(v.disclosed).length, 'something was to be withheld')
}

// named is a new key and its entry in a key set.
async function named(purpose) {
  const { publicKey, privateKey } = await jose.generateKeyPair('ES256')
  const jwk = await jose.exportJWK(publicKey)
  const kid = `${purpose}-${await jose.calculateJwkThumbprint(jwk)}`
  return { kid, privateKey, jwk: { ...jwk, kid, alg: 'ES256', use: 'sig' } }
}

async function make() {
  const token = await named('token')
  const credential = await named('credential')
  const holderSigns = { signer: signer(holder.key), kbSigner: signer(holder.key) }
  const issued = await sdjwt({ signer: signer(credential.privateKey) }).issue(
    { iss: issuer, iat: at, exp: at + 86400, cnf: { jwk: holder.jwk }, username: 'alice', city: 'Zürich', role: 'buyer' },
    { _sd: ['username', 'city', 'role'], _sd_decoy: 13 },
    { header: { typ: 'sigilo-identity+sd-jwt', kid: credential.kid } },
  )
  return {
    key_set: JSON.stringify({ keys: [token.jwk, credential.jwk] }),
    token: await new jose.SignJWT({ cnf: { 'x5t#S256': thumbprint } })
      .setProtectedHeader({ alg: 'ES256', typ: 'sigilo-session+jwt', kid: token.kid })
      .setIssuer(issuer)
      .setSubject(v.participant)
      .setAudience(v.house)
      .setIssuedAt(at)
      .setExpirationTime(at + 600)
      .setJti('one')
      .sign(token.privateKey),
    proof: await new jose.SignJWT({ purpose: 'renewal', nonce: v.nonce })
      .setProtectedHeader({ alg: 'ES256', typ: 'sigilo-proof+jwt' })
      .setAudience(v.house)
      .sign(holder.key),
    credential: issued,
    presentation: await sdjwt(holderSigns).present(
      issued,
      { username: true, city: true },
      { kb: { payload: { iat: at, aud: v.audience, nonce: v.nonce } } },
    ),
  }
}

await checkToken()
await checkKeySet()
await checkProof()
await checkCredential()
console.log(JSON.stringify(await make()))
