"use strict";

const { first, handle } = require("../lib/node");

// Sends a measurement and waits for the decision on it.
module.exports = function (RED) {
    class AuricleDecide {
        constructor(settings) {
            RED.nodes.createNode(this, settings);
            const device = RED.nodes.getNode(settings.device);
            if (!device || !device.attach(this)) {
                return;
            }
            device.answering(this);
            device.follow(this, "decision", "", (decision) => {
                device.waiting.settle(decision.observation_id, decision);
            });
            handle(this, async (msg) => {
                const stream = first(msg.stream, settings.stream);
                if (!stream) {
                    throw new Error("deciding: no stream; set it here, or send msg.stream");
                }
                const decision = await device.observe(stream, msg.payload, msg.observation_id);
                const made = { ...msg, topic: stream, payload: decision };
                made.observation_id = decision.observation_id;
                made.measurement = msg.payload;
                const text = decision.known === false ? "new" : `${decision.guess || "unknown"}`;
                return { text, send: decision.known === false ? [null, made] : [made, null] };
            });
        }
    }

    RED.nodes.registerType("auricle-decide", AuricleDecide);
};
