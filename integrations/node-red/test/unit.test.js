"use strict";

// Messages, topics and waiting requests, without a broker.

const assert = require("node:assert");
const { generateKeyPairSync, verify } = require("node:crypto");
const { command, loadKey, measurement, read, write } = require("../lib/messages");
const { encodeLevel, topic } = require("../lib/topics");
const { Waiting } = require("../lib/waiting");

describe("topics", () => {
    it("encode a name as one level, as the device does", () => {
        assert.strictEqual(encodeLevel("cam/1"), "cam%2F1");
        assert.strictEqual(encodeLevel("a+#%\u0001\u2028é"), "a%2B%23%25%01%E2%80%A8é");
        assert.strictEqual(topic("gw1", "decision", "a/b"), "auricle/v1/gw1/decision/a%2Fb");
        assert.throws(() => topic(""), /a name of one character or more/);
    });
});

describe("messages", () => {
    it("keep times to the nanosecond", () => {
        const message = read(Buffer.from('{"at_ns":1764000000500000123,"small_ns":7,"n":1}'));
        assert.deepStrictEqual(message, { at_ns: "1764000000500000123", small_ns: 7, n: 1 });
        assert.strictEqual(write({ from_ns: message.at_ns }), '{"from_ns":1764000000500000123}');
    });

    it("sign the exact bytes of a command", () => {
        const { publicKey, privateKey } = generateKeyPairSync("ed25519");
        const pem = privateKey.export({ type: "pkcs8", format: "pem" });
        const made = command("gw1", "label", { label: "ü" }, { key: loadKey(pem), name: "ann" });
        const envelope = JSON.parse(made.payload);
        const signature = Buffer.from(envelope.signature, "base64");
        const signed = Buffer.from("auricle-command-1\n" + envelope.payload, "utf8");
        assert.ok(verify(null, signed, publicKey, signature));
        assert.strictEqual(envelope.key, "ann");
        const inner = JSON.parse(envelope.payload);
        assert.strictEqual(inner.device, "gw1");
        assert.strictEqual(inner.id, made.id);
        assert.match(envelope.payload, /"expires_at_ns":\d{19}/);
    });

    it("refuse a key that is none, and one of another kind", () => {
        assert.throws(() => loadKey("hello"), /no private key in PEM/);
        const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
        const pem = privateKey.export({ type: "pkcs8", format: "pem" });
        assert.throws(() => loadKey(pem), /expected Ed25519, found rsa/);
    });

    it("take numbers, objects, documents, text and images", () => {
        assert.deepStrictEqual(JSON.parse(measurement([1, 2], "x").payload).values, [1, 2]);
        assert.deepStrictEqual(JSON.parse(measurement({ a: 1 }).payload).values, { a: 1 });
        const document = measurement({ values: [1], id: "mine", subject: "s" });
        assert.strictEqual(document.id, "mine");
        assert.strictEqual(JSON.parse(document.payload).subject, "s");
        assert.deepStrictEqual(JSON.parse(measurement("[3]").payload).values, [3]);
        const image = measurement(Buffer.from([1, 2]));
        assert.strictEqual(image.userProperties.id, image.id);
        assert.throws(() => measurement(7), /expected numbers/);
        assert.throws(() => measurement("nonsense"), SyntaxError);
    });
});

describe("waiting requests", () => {
    it("end with their answer, or after a time, and are bounded", async () => {
        const waiting = new Waiting(2);
        const one = waiting.add("1", 5, "asking");
        const other = waiting.add("2", 0.01, "asking");
        await assert.rejects(waiting.add("1", 5, "asking"), /in use|wait already/);
        await assert.rejects(waiting.add("3", 5, "asking"), /2 requests wait already/);
        assert.ok(waiting.settle("1", "answer"));
        assert.strictEqual(await one, "answer");
        await assert.rejects(other, /no answer within 0.01 s/);
        assert.ok(!waiting.settle("2", "late"));
        const last = waiting.add("4", 5, "asking");
        waiting.close();
        await assert.rejects(last, /the flow was stopped/);
    });
});
