"use strict";

// The nodes in a real Node-RED, against a real broker and a real Auricle daemon, which
// tests/integrations/test_node_red.py of Auricle starts: it gives their addresses in AURICLE_TEST, as
// JSON.  Without it these tests are skipped.

const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const helper = require("node-red-node-test-helper");

const world = process.env.AURICLE_TEST ? JSON.parse(process.env.AURICLE_TEST) : null;
const nodeRed = require.resolve("node-red");
const core = path.dirname(require.resolve("@node-red/nodes/package.json", { paths: [nodeRed] }));
const nodes = [
    require(path.join(core, "core/network/10-mqtt.js")),
    ...["device", "decide", "label", "forget", "alarm"].map((one) =>
        require(`../nodes/auricle-${one}.js`),
    ),
];
helper.init(nodeRed);

const KINDS = { decide: 2, label: 1, forget: 1, alarm: 3 };

// The configuration nodes, with changes.
function settings(changes = {}, protocol = "5") {
    return [
        {
            id: "broker",
            type: "mqtt-broker",
            broker: "127.0.0.1",
            port: String(world.port),
            protocolVersion: protocol,
            autoConnect: true,
            keepalive: "60",
            cleansession: true,
        },
        {
            id: "auricle",
            type: "auricle-device",
            broker: "broker",
            device: world.device,
            timeout: 10,
            keyName: "node-red",
            ...changes,
        },
    ];
}

// Load one node of a kind whose outputs lead to helper nodes; resolve once it is connected.
async function load(kind, more = {}, changes = {}, { key = world.key, protocol = "5" } = {}) {
    const outputs = [...Array(KINDS[kind]).keys()].map((at) => `out${at}`);
    const node = { id: "node", type: `auricle-${kind}`, device: "auricle", ...more };
    const flow = [
        ...settings(changes, protocol),
        { ...node, wires: outputs.map((id) => [id]) },
        ...outputs.map((id) => ({ id, type: "helper" })),
    ];
    await new Promise((resolve) => helper.load(nodes, flow, { auricle: { key } }, resolve));
    listen();
    const broker = helper.getNode("broker");
    for (let tries = 0; !broker.connected && tries < 200; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 25));
    }
    // The subscriptions were sent with the connection: give the broker time to grant them.
    await new Promise((resolve) => setTimeout(resolve, 150));
}

// The request that the next message or error settles.  Nodes keep one listener each: Node-RED calls
// a second one of the same event differently.
let awaited = null;

function listen() {
    for (let at = 0; at < 3; at += 1) {
        const out = helper.getNode(`out${at}`);
        if (out) {
            out.on("input", (msg) => awaited && awaited.resolve({ output: at, msg }));
        }
    }
    helper.getNode("node").on("call:error", ({ args }) => {
        const error = args[0] instanceof Error ? args[0] : new Error(String(args[0]));
        if (awaited) {
            awaited.reject(error);
        }
    });
}

// Resolve with { output, msg } of the next message, or reject with the next error.
function next() {
    return new Promise((resolve, reject) => {
        awaited = { resolve, reject };
    });
}

// Send a message in, and resolve with what comes out.
function ask(msg) {
    const answer = next();
    helper.getNode("node").receive(msg);
    return answer;
}

(world ? describe : describe.skip)("nodes with a daemon", () => {
    beforeEach(() => new Promise((resolve) => helper.startServer(resolve)));
    afterEach(async () => {
        await helper.unload();
        await new Promise((resolve) => helper.stopServer(resolve));
    });

    it("decide: a known sample comes out of the first output", async () => {
        await load("decide", { stream: "press" });
        const { output, msg } = await ask({ payload: world.known, extra: 7 });
        assert.strictEqual(output, 0);
        assert.strictEqual(msg.payload.known, true);
        assert.strictEqual(msg.payload.label, "a");
        assert.strictEqual(msg.payload.observation_id, msg.observation_id);
        assert.strictEqual(msg.topic, "press");
        assert.strictEqual(msg.extra, 7);
        assert.deepStrictEqual(msg.measurement, world.known);
        assert.match(msg.payload.captured_at_ns, /^\d{19}$/);
    });

    it("decide: a new one comes out of the second, by the stream of the message", async () => {
        await load("decide");
        const { output, msg } = await ask({ payload: world.novel, stream: "press" });
        assert.strictEqual(output, 1);
        assert.strictEqual(msg.payload.known, false);
    });

    it("decide: numbers by name and an own id", async () => {
        await load("decide", { stream: "press" });
        const id = `own-${Date.now()}`;
        const payload = { values: world.known, id };
        const { msg } = await ask({ payload });
        assert.strictEqual(msg.observation_id, id);
    });

    it("decide: many at a time, each gets its own decision", async () => {
        await load("decide", { stream: "press" });
        const found = [];
        const all = new Promise((resolve, reject) => {
            const take = ({ msg }) => found.push(msg) === 60 && resolve();
            awaited = { resolve: take, reject };
        });
        for (let at = 0; at < 60; at += 1) {
            helper.getNode("node").receive({ payload: at % 2 ? world.novel : world.known, at });
        }
        await all;
        assert.deepStrictEqual(found.map((msg) => msg.at).sort((a, b) => a - b), [
            ...Array(60).keys(),
        ]);
        assert.ok(found.every((msg) => msg.payload.known === (msg.at % 2 === 0)));
    });

    it("decide: a measurement of another width is an error with the device's reason", async () => {
        await load("decide", { stream: "press" });
        await assert.rejects(ask({ payload: [1, 2] }), /gw1: .*(column|number|width|shape)/i);
        await assert.rejects(ask({ payload: 7 }), /expected numbers/);
    });

    it("decide: no stream, and a stream that the device does not have", async () => {
        await load("decide", {}, { timeout: 1 });
        await assert.rejects(ask({ payload: world.known }), /no stream; set it here/);
        await assert.rejects(ask({ payload: world.known, stream: "none" }), /no answer within 1 s/);
    });

    it("decide: an image over MQTT 3 is refused before it is sent", async () => {
        await load("decide", { stream: "press" }, {}, { protocol: "4" });
        await assert.rejects(ask({ payload: Buffer.from([1]) }), /set its protocol to MQTT V5/);
        const { msg } = await ask({ payload: world.known });
        assert.strictEqual(msg.payload.known, true);
    });

    // Before the labels: a new class of one sample makes the detector cautious.
    it("alarm: a stream that leaves the known domains raises the first output", async () => {
        await load("alarm", { stream: "gate" });
        const found = next();
        const { publish } = helper.getNode("broker");
        for (let at = 0; at < 64; at += 1) {
            const payload = JSON.stringify({ values: world.strange[at] });
            publish({ topic: `auricle/v1/${world.device}/observe/gate`, payload, qos: 1 });
        }
        const { output, msg } = await found;
        assert.strictEqual(output, 0);
        assert.strictEqual(msg.kind, "alarm");
        assert.strictEqual(msg.payload.raised, true);
    });

    it("label: the device has learned it, and a typo is a warning", async () => {
        await load("decide", { stream: "press" });
        const { msg } = await ask({ payload: world.novel });
        await helper.unload();
        await load("label", { domain: "hall" });
        const learned = await ask({ observation_id: msg.observation_id, label: "crack" });
        assert.strictEqual(learned.msg.payload.done, true);
        assert.strictEqual(learned.msg.payload.body.count, 1);
        assert.strictEqual(learned.msg.payload.body.subject_id, msg.observation_id);
    });

    it("label: an unknown observation, and nothing to say, are errors", async () => {
        await load("label");
        await assert.rejects(ask({ observation_id: "none", label: "x" }), /gw1: /);
        await assert.rejects(ask({ label: "x" }), /msg.observation_id is missing/);
        await assert.rejects(ask({ observation_id: "o", payload: 3 }), /msg.label is missing/);
    });

    it("commands: without a key, with a wrong one, and with one that cannot be read", async () => {
        await load("label", {}, {}, { key: "" });
        await assert.rejects(ask({ observation_id: "o", label: "x" }), /it is not signed/);
        await helper.unload();
        await load("label", {}, {}, { key: world.otherKey });
        await assert.rejects(ask({ observation_id: "o", label: "x" }), /signature .* not match/);
        await helper.unload();
        await load("label", {}, {}, { key: "nonsense" });
        await assert.rejects(ask({ observation_id: "o", label: "x" }), /no private key in PEM/);
    });

    it("forget: nothing is sent without a selector and the device's name", async () => {
        await load("forget");
        await assert.rejects(ask({ confirm: "gw1" }), /no selector/);
        await assert.rejects(ask({ select: {}, confirm: "gw1" }), /no selector/);
        await assert.rejects(ask({ select: { subject: "" }, confirm: "gw1" }), /is empty/);
        await assert.rejects(ask({ select: { ids: [] }, confirm: "gw1" }), /is empty/);
        await assert.rejects(ask({ select: "all", confirm: "gw1" }), /must be an object/);
        await assert.rejects(ask({ select: { subject: "person-1" } }), /not confirmed/);
        const close = ask({ select: { subject: "person-1" }, confirm: "gw2" });
        await assert.rejects(close, /not confirmed/);
        await assert.rejects(ask({ select: { colour: "x" }, confirm: "gw1" }), /colour/);
    });

    it("forget: a confirmed selection returns the receipt, and the confirmation is dropped", async () => {
        await load("forget", { subject: "person-1" });
        const { msg } = await ask({ confirm: "gw1" });
        assert.strictEqual(msg.payload.done, true);
        assert.strictEqual(msg.payload.body.facts_forgotten, world.ofPersonOne);
        assert.notStrictEqual(msg.payload.body.digest_before, msg.payload.body.digest_after);
        assert.strictEqual(msg.confirm, undefined);
    });

    it("alarm: a change point of a series comes out of the second output", async () => {
        await load("alarm", { stream: "line" });
        const found = next();
        const { publish } = helper.getNode("broker");
        for (const [at, value] of world.series.entries()) {
            const payload = JSON.stringify({ values: { load: value }, sequence: at });
            publish({ topic: `auricle/v1/${world.device}/observe/line`, payload, qos: 1 });
        }
        const { output, msg } = await found;
        assert.strictEqual(output, 1);
        assert.strictEqual(msg.kind, "change-point");
        assert.strictEqual(msg.topic, "line");
    });

    it("alarm: an answer to no question is an error", async () => {
        await load("alarm");
        await assert.rejects(ask({ harmless: true, stream: "line" }), /gw1: .*no such alarm/);
        await assert.rejects(ask({ stream: "line" }), /expected msg.harmless/);
    });

    it("a node shows that its device has no name", async () => {
        await load("decide", { stream: "press" }, { device: "" });
        assert.ok(helper.getNode("node").status.calledWithMatch({ fill: "red" }));
    });

    it("the examples load with these nodes", async () => {
        const folder = path.join(__dirname, "../examples");
        for (const name of fs.readdirSync(folder)) {
            const flow = JSON.parse(fs.readFileSync(path.join(folder, name), "utf8"));
            const ours = flow.filter((one) => /^(auricle-|mqtt-broker|tab)/.test(one.type));
            for (const one of ours) {
                if (one.wires) {
                    one.wires = [];
                }
                if (one.type === "mqtt-broker") {
                    one.port = String(world.port);
                }
            }
            await new Promise((resolve) => helper.load(nodes, ours, {}, resolve));
            for (const one of ours.filter((node) => node.type !== "tab")) {
                assert.strictEqual(helper.getNode(one.id).type, one.type, name);
            }
            await helper.unload();
        }
    });
});
