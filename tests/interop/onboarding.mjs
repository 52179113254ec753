// A brand joins, with jose, http-message-signatures and Node's own fetch: from nothing to the first award and the first
// payment in another brand's shop. Nothing of ours but the service.
//
//     node onboarding.mjs URL DEMO
//
// URL serves a network, DEMO is its data folder, of which only key files are used: the operator's and those of the
// other brand (SHOP, br_cleaver), which do their own part in earnest elsewhere (marked below).

import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, randomInt, sign as raw } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { httpbis } from 'http-message-signatures'
import { calculateJwkThumbprint, CompactSign } from 'jose'

const [URL, DEMO] = process.argv.slice(2)
const SHOP = process.env.SHOP ?? 'br_cleaver'
const begun = performance.now()
let steps = 0

function fail(what) {
  console.error(`onboarding.mjs: ${what}`)
  process.exit(1)
}

function step(what) {
  steps += 1
  console.log(`${String(steps).padStart(2)}  ${(performance.now() - begun).toFixed(0).padStart(6)} ms  ${what}`)
}

function shuffled(list) {
  const all = [...list]
  for (let at = all.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1)
    ;[all[at], all[other]] = [all[other], all[at]]
  }
  return all
}

const random = () => randomBytes(18).toString('base64url')
const sha256 = (data) => createHash('sha256').update(data)

async function send(path, init = {}) {
  const answer = await fetch(URL + path, { ...init, signal: AbortSignal.timeout(30_000) })
  const text = await answer.text()
  if (!answer.ok) fail(`${init.method ?? 'GET'} ${path}: ${answer.status} ${text}`)
  return JSON.parse(text)
}

const network = await send('/v1/network')
const now = Math.floor(Date.parse(network.time) / 1000)

/** An Ed25519 key that signs statements and requests. */
class Key {
  static async of(privateKey) {
    const key = new Key()
    const { kty, crv, x } = privateKey.export({ format: 'jwk' })
    Object.assign(key, { privateKey, jwk: { kty, crv, x } })
    key.kid = await calculateJwkThumbprint(key.jwk)
    return key
  }

  static make() {
    return Key.of(generateKeyPairSync('ed25519').privateKey)
  }

  static read(...path) {
    const jwk = JSON.parse(readFileSync(join(DEMO, 'keys', ...path), 'utf8'))
    return Key.of(createPrivateKey({ key: jwk, format: 'jwk' }))
  }

  statement(typ, claims) {
    const payload = new TextEncoder().encode(JSON.stringify({ aud: network.net, ...claims }))
    const header = { alg: 'EdDSA', typ, kid: this.kid }
    return new CompactSign(payload).setProtectedHeader(header).sign(this.privateKey)
  }

  command(kind, args) {
    return this.statement('command+jwt', { cid: random(), kind, args })
  }

  approval(statement) {
    const input = statement.slice(0, statement.lastIndexOf('.'))
    return this.statement('approval+jwt', { digest: sha256(input).digest('hex') })
  }

  /** Sends a signed request. What is signed stands in any order, and so do the parameters: both are shuffled here. */
  async signed(method, path, body, { id = random(), ...more } = {}) {
    const headers = { ...more }
    const fields = ['@method', '@target-uri']
    const text = body === undefined ? undefined : JSON.stringify(body)
    if (text !== undefined) {
      headers['content-type'] = 'application/json'
      headers['content-digest'] = `sha-256=:${sha256(text).digest('base64')}:`
      fields.push('content-type', 'content-digest')
    }
    if (method !== 'GET') {
      headers['idempotency-key'] = id
      fields.push('idempotency-key')
    }
    const sign = async (base) => raw(null, base, this.privateKey)
    const message = await httpbis.signMessage(
      {
        key: { id: this.kid, alg: 'ed25519', sign },
        name: 'nord',
        fields: shuffled(fields),
        params: shuffled(['keyid', 'alg', 'created', 'expires', 'nonce', 'tag']),
        paramValues: { nonce: random(), tag: 'tallyhouse-v1', expires: new Date(Date.now() + 120_000) },
      },
      { method, url: URL + path, headers },
    )
    return send(path, { method, headers: message.headers, body: text })
  }
}

const statements = (path, ...all) =>
  send(path, { method: 'POST', headers: { 'content-type': 'application/jose' }, body: all.join('\n') })

const [root, issuing, till, holder] = await Promise.all([Key.make(), Key.make(), Key.make(), Key.make()])
step('NORD makes its keys, and a member theirs')

const registration = await root.command('brand.register', { brand: 'br_nord', participant: 'pa_nord', root: root.jwk })
const applied = await send('/v1/applications', {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ participant: 'pa_nord', currency: 'USD', registration }),
})
step('NORD applies, with its registration signed by its root')

// The operator's part: two of its roots stand behind every new participant and brand.
const [one, two] = await Promise.all([Key.read('operator', 'root-1.jwk'), Key.read('operator', 'root-2.jwk')])
const entity = await one.command('participant.register', { participant: 'pa_nord', currency: 'USD' })
await statements('/v1/participants', entity, await two.approval(entity))
const approvals = [await one.approval(registration), await two.approval(registration)]
await one.signed('POST', `/v1/applications/${applied.id}/approvals`, { approvals })
// (The end of the operator's part.)
const headers = { authorization: `Bearer ${applied.token}` }
const { state } = await send(`/v1/applications/${applied.id}`, { headers })
if (state !== 'approved') fail(`the application is ${state}`)
step('the operator approves: br_nord is registered')

for (const [key, more] of [
  [issuing, { purpose: 'issuing' }],
  [till, { purpose: 'till', till: { store: 's1', till: 't1', participant: 'pa_nord' } }],
]) {
  const cert = await root.statement('key-cert+jwt', { key: key.jwk, owner: 'br_nord', from: now, ...more })
  await statements('/v1/keys', cert, await key.approval(cert))
}
step('NORD certifies its issuing key and its till')

const unit = { unit: 'NORD', version: 1, scale: 0, offset: '+01:00', expiry: 'never' }
await root.signed('POST', '/v1/units', unit)
const rates = { home: [110, 1], till: [100, 1], settle: [95, 1], issue: [110, 1] }
await root.signed('POST', '/v1/prices', { unit: 'NORD', version: 1, currency: 'USD', from: now, ...rates })
await root.signed('POST', '/v1/acceptance', { brand: 'br_nord', version: 1, units: [{ unit: 'HARVEST' }] })
const limits = { serial: 1, ceiling: 1_000_000, hourly: 100_000, until: now + 365 * 86_400 }
const budget = await root.statement('key-budget+jwt', { key: issuing.kid, unit: 'NORD', ...limits })
await statements('/v1/budgets', budget)
step('NORD defines its points, publishes prices, takes HARVEST, and gives its issuing key a budget')

const digits = '0123456789abcdefghjkmnpqrstvwxyz'
// The account that a key opens: the first 16 bytes of its thumbprint in Crockford's base32.
const thumbprint = BigInt(`0x${Buffer.from(holder.kid, 'base64url').subarray(0, 16).toString('hex')}`)
const account = `ac_${Array.from({ length: 26 }, (_, at) => digits[Number((thumbprint >> BigInt(5 * (25 - at))) & 31n)]).join('')}`
await holder.signed('POST', '/v1/accounts', { account, unit: 'NORD', key: holder.jwk })
step('a member opens an account with a key of their own')

const award = { iss: 'br_nord', unit: 'NORD', sub: account, amount: 500, ref: 'R-1', store: 's1' }
await issuing.signed('POST', '/v1/awards', award, { id: 'receipt-1' })
step('the first award: 500 NORD')

// The other brand's part: it takes NORD from now on, and its till asks for the payment.
const listed = await send(`/v1/brands/${SHOP}/acceptance`)
const shopRoot = await Key.read(SHOP, 'root.jwk')
const units = [...listed.units, { unit: 'NORD' }]
await shopRoot.signed('POST', '/v1/acceptance', { brand: SHOP, version: listed.version + 1, units })
step(`${SHOP} takes NORD`)
const tills = readdirSync(join(DEMO, 'keys', SHOP)).filter((name) => name.startsWith('till-'))
const shopTill = await Key.read(SHOP, tills.sort()[0])
const consent = await holder.statement('payment-consent+jwt', {
  jti: random(),
  account,
  payee: SHOP,
  payment: 'nord-pays-1',
  amount: 20_000,
  currency: 'USD',
  points: 200,
  deadline: now + 900,
  exp: now + 240,
})
const bill = { amount: 20_000, currency: 'USD', deadline: now + 600, capture: true }
const paid = await shopTill.signed('POST', '/v1/payments', bill, { id: 'nord-pays-1', 'tallyhouse-consents': consent })
// (The end of the other brand's part.)
step(`the first payment elsewhere: USD 2.00 of a bill at ${SHOP}, as entry ${paid.seq}`)

const after = { 'min-seq': String(paid.seq) }
const { available } = await holder.signed('GET', `/v1/accounts/${account}`, undefined, after)
const { items } = await issuing.signed('GET', '/v1/obligations', undefined, after)
const owed = items.map(({ debtor, currency, amount }) => `${debtor} ${currency} ${amount}`).join()
if (available !== 300 || owed !== 'pa_nord USD 19000') fail(`the member has ${available}; obligations: ${owed}`)
step('the member has 300 NORD left; NORD owes the shop USD 1.9000')

const proof = await issuing.signed('GET', `/v1/entries/${paid.seq}/proof`)
const node = (...data) => createHash('sha256').update(Buffer.concat(data)).digest()
/** The root that a leaf and its path make (RFC 9162, 2.1.3.2). */
function rootOf(leaf, index, size, path) {
  let [hash, fn, sn] = [node(Buffer.from([0]), leaf), index, size - 1]
  for (const sibling of path.map((hex) => Buffer.from(hex, 'hex'))) {
    if (fn % 2 === 1 || fn === sn) {
      hash = node(Buffer.from([1]), sibling, hash)
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
    } else {
      hash = node(Buffer.from([1]), hash, sibling)
    }
    ;[fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)]
  }
  return hash.toString('base64')
}
const [, size, signedRoot] = proof.checkpoint.split('\n')
if (rootOf(Buffer.from(proof.envelope), paid.seq, Number(size), proof.path) !== signedRoot) fail('the proof does not hold')
step('the path of its proof leads to the root of the checkpoint')

console.log(`onboarding.mjs: from nothing to a payment elsewhere in ${steps} steps`)
