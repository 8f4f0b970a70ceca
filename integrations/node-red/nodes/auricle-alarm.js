"use strict";

const { first, handle } = require("../lib/node");

// Follows the alarms of a device: output 1 alarms, output 2 change points, output 3 questions about
// lasting alarms.  A message into it answers such a question.
module.exports = function (RED) {
    class AuricleAlarm {
        constructor(settings) {
            RED.nodes.createNode(this, settings);
            const device = RED.nodes.getNode(settings.device);
            if (!device || !device.attach(this)) {
                return;
            }
            const stream = first(settings.stream);
            const outputs = { alarm: 0, anomaly: 0, "change-point": 1, "alarm-question": 2 };
            for (const [kind, output] of Object.entries(outputs)) {
                device.follow(this, kind, stream, (payload) => {
                    // Messages that were sent late, after an outage, raise no alarm today.
                    if (payload.historical && !settings.historical) {
                        return;
                    }
                    const made = [null, null, null];
                    made[output] = { topic: payload.stream, kind, payload };
                    this.show(kind, payload);
                    this.send(made);
                });
            }
            device.answering(this);
            handle(this, async (msg) => {
                const given = msg.payload && typeof msg.payload === "object" ? msg.payload : {};
                const harmless = typeof msg.harmless === "boolean" ? msg.harmless : given.harmless;
                const fields = {
                    alarm_id: first(msg.alarm_id, given.alarm_id),
                    stream: first(msg.stream, given.stream, stream),
                };
                if (typeof harmless !== "boolean" || !(fields.alarm_id || fields.stream)) {
                    throw new Error(
                        "answering an alarm: expected msg.harmless (true or false), and msg.alarm_id " +
                            "or msg.stream",
                    );
                }
                const answer = await device.command("confirm", { ...fields, harmless });
                const text = harmless ? "harmless" : "kept";
                return { text, send: [null, null, { ...msg, payload: answer }] };
            });
        }

        // Show the newest message as the node's state.
        show(kind, message) {
            const over = kind === "alarm" && !message.raised;
            const fill = over ? "green" : kind === "alarm-question" ? "yellow" : "red";
            const text = `${message.stream}: ${over ? "alarm over" : kind}`;
            this.status({ fill, shape: "dot", text });
        }
    }

    RED.nodes.registerType("auricle-alarm", AuricleAlarm);
};
