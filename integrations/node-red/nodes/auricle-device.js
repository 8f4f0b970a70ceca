"use strict";

const { command, loadKey, measurement, read } = require("../lib/messages");
const { topic } = require("../lib/topics");
const { Waiting } = require("../lib/waiting");

// One Auricle device behind Node-RED's own MQTT broker node.  It sends measurements and commands,
// and hands every message of the device to the nodes that follow it.
module.exports = function (RED) {
    class AuricleDevice {
        constructor(settings) {
            RED.nodes.createNode(this, settings);
            this.device = (settings.device || "").trim();
            this.broker = RED.nodes.getNode(settings.broker);
            this.seconds = Number(settings.timeout) || 10;
            this.waiting = new Waiting();
            this.users = 0;
            this.signer = null;
            const pem = this.credentials && this.credentials.key;
            if (pem) {
                try {
                    this.signer = { key: loadKey(pem), name: settings.keyName || "node-red" };
                } catch (error) {
                    // A command must not be sent unsigned because its key cannot be read.
                    this.trouble = error.message;
                    this.error(error.message);
                }
            }
            this.on("close", () => this.waiting.close());
        }

        // Why nothing can be sent, or "".
        get problem() {
            if (this.trouble) {
                return this.trouble;
            }
            if (!this.device) {
                return "the Auricle device has no name: open its settings";
            }
            if (!this.broker) {
                return "the Auricle device has no MQTT broker: open its settings";
            }
            return this.broker.connected ? "" : "not connected to the MQTT broker";
        }

        // Let a node follow a kind of message: handle(message, properties) for each.  stream: ""
        // for all, undefined for a kind that has none.
        follow(node, kind, stream, handle) {
            const named = stream ? [stream] : [];
            const filter = topic(this.device, kind, ...named) + (stream === "" ? "/#" : "");
            const reference = `${node.id}-${kind}`;
            const arrived = (_topic, payload, packet) => {
                let message;
                try {
                    message = read(payload);
                } catch (error) {
                    node.warn(`reading ${kind} of ${this.device}: ${error.message}`);
                    return;
                }
                handle(message, packet.properties || {});
            };
            this.broker.subscribe(filter, { qos: 1 }, arrived, reference);
            node.on("close", (removed, done) => {
                this.broker.unsubscribe(filter, reference, removed);
                done();
            });
        }

        // Connect a node: it shows the state of the connection from now on.
        attach(node) {
            if (!this.device || !this.broker) {
                node.status({ fill: "red", shape: "ring", text: this.problem });
                return false;
            }
            this.broker.register(node);
            node.on("close", (removed, done) => this.broker.deregister(node, done, removed));
            return true;
        }

        // Subscribe a node to answers and refusals, which end the waiting requests.
        answering(node) {
            const failed = (id, message) => {
                const hint = message.hint ? ` (${message.hint})` : "";
                this.waiting.fail(id, new Error(`${this.device}: ${message.reason}${hint}`));
            };
            this.follow(node, "response", "", (message, { correlationData }) => {
                // A command that could not be read, such as an unsigned one, is refused without id.
                const id = correlationData ? correlationData.toString() : message.id;
                if (message.done) {
                    this.waiting.settle(id, message);
                } else {
                    failed(id, message);
                }
            });
            this.follow(node, "rejected", undefined, (message) => {
                failed(message.subject_id, message);
            });
        }

        // Send a command; return a promise of its answer.
        command(verb, fields) {
            const { id, payload } = command(this.device, verb, fields, this.signer);
            const to = topic(this.device, "command", verb);
            const sent = { topic: to, payload, correlationData: Buffer.from(id) };
            sent.responseTopic = topic(this.device, "response", "node-red");
            return this.request(id, sent, `sending ${verb} to ${this.device}`);
        }

        // Send a measurement; return a promise of the decision on it.
        observe(stream, given, wanted) {
            const { id, payload, userProperties } = measurement(given, wanted);
            if (userProperties && !this.broker.v5()) {
                throw new Error(
                    "sending an image: the broker node uses MQTT 3, in which an image cannot have an id; " +
                        "set its protocol to MQTT V5",
                );
            }
            const to = topic(this.device, "observe", stream);
            const sent = { topic: to, payload, userProperties };
            return this.request(id, sent, `sending a measurement to ${this.device}`);
        }

        // Publish, and return a promise of the answer to an id.
        request(id, message, what) {
            if (this.problem) {
                return Promise.reject(new Error(`${what}: ${this.problem}`));
            }
            const answer = this.waiting.add(id, this.seconds, what);
            this.broker.publish({ ...message, qos: 1 }, (error) => {
                if (error) {
                    this.waiting.fail(id, new Error(`${what}: ${error.message || error}`));
                }
            });
            return answer;
        }
    }

    RED.nodes.registerType("auricle-device", AuricleDevice, {
        credentials: { key: { type: "password" } },
    });
};
