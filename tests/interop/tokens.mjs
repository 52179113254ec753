// Tokens, by jose.
//
//     node tokens.mjs verify tokens.json       [{"token", "jwk", "typ", "aud"}, ...] made by us
//     node tokens.mjs make orders.json         [{"jwk" (private), "typ", "claims"}, ...]: prints a token a line
//
// `kid` is the RFC 7638 thumbprint of the key. jose checks signature, audience and typ; whether instants have passed is
// judged at the time of the entry, not now.

import { readFileSync } from 'node:fs'
import { calculateJwkThumbprint, errors, importJWK, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'

function fail(what) {
  console.error(`tokens.mjs: ${what}`)
  process.exit(1)
}

/** The claims if everything holds, else null. */
async function verified(token, jwk, audience, typ) {
  try {
    const key = await importJWK(jwk, 'EdDSA')
    const { payload, protectedHeader } = await jwtVerify(token, key, {
      algorithms: ['EdDSA'],
      audience,
      typ,
      currentDate: new Date(0),
    })
    return protectedHeader.kid === (await calculateJwkThumbprint(jwk)) ? payload : null
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return null
    throw error
  }
}

/** The token with one bit flipped in each byte in turn. The bytes, not the text: its last characters have spare bits
 *  that jose passes over. Our own reader is strict about them. */
function* bent(token) {
  const parts = token.split('.').map((part) => Buffer.from(part, 'base64url'))
  for (const [n, part] of parts.entries()) {
    const step = Math.max(1, Math.floor(part.length / 40))
    for (let at = 0; at < part.length; at += step) {
      const changed = parts.map((data) => Buffer.from(data))
      changed[n][at] ^= 1
      yield changed.map((data) => data.toString('base64url')).join('.')
    }
  }
}

async function verify(tokens) {
  let flips = 0
  for (const { token, jwk, aud, typ } of tokens) {
    if ((await verified(token, jwk, aud, typ)) === null) fail(`a ${typ} does not verify`)
    for (const other of bent(token)) {
      if ((await verified(other, jwk, aud, typ)) !== null) fail(`NOT noticed: a flipped bit in a ${typ}: ${other}`)
      flips += 1
    }
    const stranger = tokens.find((one) => one.jwk.x !== jwk.x).jwk
    if (await verified(token, stranger, aud, typ)) fail(`NOT noticed: another key for a ${typ}`)
    if (await verified(token, jwk, '0'.repeat(64), typ)) fail(`NOT noticed: another network for a ${typ}`)
    if (await verified(token, jwk, aud, 'JWT')) fail(`NOT noticed: another type for a ${typ}`)
    if (await verified(new UnsecuredJWT({ aud }).encode(), jwk, aud, typ)) fail('NOT noticed: a token that nobody signed')
  }
  const types = new Set(tokens.map((one) => one.typ)).size
  console.log(
    `tokens.mjs: ${tokens.length} tokens of ${types} types verify; noticed ${flips} flipped bits, other keys, networks, types`,
  )
}

async function make(orders) {
  for (const { jwk, typ, claims } of orders) {
    const kid = await calculateJwkThumbprint(jwk)
    const key = await importJWK(jwk, 'EdDSA')
    console.log(await new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ, kid }).sign(key))
  }
}

const [verb, path] = process.argv.slice(2)
await { verify, make }[verb](JSON.parse(readFileSync(path, 'utf8')))
