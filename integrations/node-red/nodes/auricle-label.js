"use strict";

const { first, handle } = require("../lib/node");

// Labels an observation; when the answer arrives, the device has learned it.
module.exports = function (RED) {
    class AuricleLabel {
        constructor(settings) {
            RED.nodes.createNode(this, settings);
            const device = RED.nodes.getNode(settings.device);
            if (!device || !device.attach(this)) {
                return;
            }
            device.answering(this);
            handle(this, async (msg) => {
                const payload = msg.payload && typeof msg.payload === "object" ? msg.payload : {};
                const observation = first(msg.observation_id, payload.observation_id);
                const spoken = typeof msg.payload === "string" ? msg.payload : payload.label;
                const label = first(msg.label, settings.label, spoken);
                if (!observation || !label) {
                    const missing = observation ? "label" : "observation_id";
                    throw new Error(`labelling: msg.${missing} is missing`);
                }
                const fields = { observation_id: observation, label };
                const domain = first(msg.domain, settings.domain);
                if (domain) {
                    fields.domain = domain;
                }
                const answer = await device.command("label", fields);
                for (const warning of (answer.body && answer.body.warnings) || []) {
                    this.warn(warning);
                }
                return { text: label, send: { ...msg, payload: answer } };
            });
        }
    }

    RED.nodes.registerType("auricle-label", AuricleLabel);
};
