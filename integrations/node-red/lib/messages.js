"use strict";

const { randomUUID, createPrivateKey, sign } = require("node:crypto");

// Precedes the signed bytes of a command, so that no other signed message is valid as one.
const SIGNED = "auricle-command-1\n";

// The device refuses a command that it has not carried out within this time.
const EXPIRES_MS = 60_000;

// Times are nanoseconds since 1970, which a JavaScript number cannot hold exactly: they are text.
const TIMES = /"(\w+_ns)":\s*(\d{16,})/g;
const TIMES_AS_TEXT = /"(\w+_ns)":\s*"(\d+)"/g;

// Read the JSON of a device; times become text, so that none is rounded.
function read(payload) {
    return JSON.parse(payload.toString("utf8").replace(TIMES, '"$1":"$2"'));
}

// Write JSON for a device; times that are text become numbers again.
function write(value) {
    return JSON.stringify(value).replace(TIMES_AS_TEXT, '"$1":$2');
}

// Load a private key from PEM; throws for anything but Ed25519.
function loadKey(pem) {
    let key;
    try {
        key = createPrivateKey(pem);
    } catch (error) {
        throw new Error(
            "loading the signing key: it is no private key in PEM; `auricle keygen FILE` makes one",
        );
    }
    if (key.asymmetricKeyType !== "ed25519") {
        throw new Error(
            `loading the signing key: expected Ed25519, found ${key.asymmetricKeyType}; ` +
                "`auricle keygen FILE` makes one",
        );
    }
    return key;
}

// Return { id, payload } of a command; signed where a key is given.
// signer: { key, name } or null.  now: milliseconds since 1970.
function command(device, verb, fields, signer, now = Date.now()) {
    const id = `node-red-${randomUUID()}`;
    const expires = `${BigInt(now + EXPIRES_MS) * 1_000_000n}`;
    const inner = write({ verb, id, device, expires_at_ns: expires, ...fields });
    if (!signer) {
        return { id, payload: inner };
    }
    const signature = sign(null, Buffer.from(SIGNED + inner, "utf8"), signer.key);
    const envelope = { payload: inner, key: signer.name, signature: signature.toString("base64") };
    return { id, payload: JSON.stringify(envelope) };
}

// Return { id, payload, userProperties } of a measurement.
// payload: numbers, an object of numbers, a document with `values`, or the bytes of an image.
function measurement(given, wanted) {
    const id = wanted || `node-red-${randomUUID()}`;
    if (Buffer.isBuffer(given)) {
        return { id, payload: given, userProperties: { id } };
    }
    const value = typeof given === "string" ? JSON.parse(given) : given;
    if (Array.isArray(value)) {
        return { id, payload: JSON.stringify({ values: value, id }) };
    }
    if (value === null || typeof value !== "object") {
        throw new Error(
            `sending a measurement: expected numbers, an object of numbers or an image, found ` +
                `${typeof value}`,
        );
    }
    const body = "values" in value ? { ...value } : { values: value };
    body.id = wanted || body.id || id;
    return { id: String(body.id), payload: write(body) };
}

module.exports = { command, loadKey, measurement, read, write };
