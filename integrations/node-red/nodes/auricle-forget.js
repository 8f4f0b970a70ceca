"use strict";

const { first, handle } = require("../lib/node");

// Fields that select facts, as docs/reference/commands.md has them.
const FIELDS = ["subject", "stream", "recording", "domain", "label", "from_ns", "until_ns"];

// Longest wait for a receipt, as in the console.
const RECEIPT_S = 900;

// Receipts kept that nobody waits for yet: one may arrive together with the answer.
const RECENT = 100;

// Return the selection of a message: msg.select, or else the settings.
function selection(msg, settings) {
    const found = {};
    if (msg.select !== undefined) {
        if (msg.select === null || typeof msg.select !== "object" || Array.isArray(msg.select)) {
            throw new Error("forgetting: msg.select must be an object, such as {subject: 'ann'}");
        }
        Object.assign(found, msg.select);
    } else {
        for (const name of FIELDS) {
            const value = first(settings[name]);
            if (value) {
                found[name] = value;
            }
        }
    }
    const empty = (value) => value === "" || value === undefined || value === null;
    for (const [name, value] of Object.entries(found)) {
        if (empty(value) || (Array.isArray(value) && value.length === 0)) {
            throw new Error(`forgetting: the selector ${name} is empty; nothing was sent`);
        }
    }
    if (Object.keys(found).length === 0) {
        throw new Error("forgetting: no selector; set one here, or send msg.select");
    }
    return found;
}

// Follow the receipts of a device; return a function that waits for that of a request.
function receipts(node, device) {
    const recent = new Map();
    device.follow(node, "receipt", undefined, (receipt) => {
        if (!device.waiting.settle(`receipt ${receipt.request_id}`, receipt)) {
            recent.set(receipt.request_id, receipt);
            if (recent.size > RECENT) {
                recent.delete(recent.keys().next().value);
            }
        }
    });
    return async (id) => {
        const what = `waiting for the receipt of ${id} from ${device.device}`;
        const found = recent.get(id);
        return found || device.waiting.add(`receipt ${id}`, RECEIPT_S, what);
    };
}

// Erases the selected facts permanently.  A message must have the name of the device as its
// confirmation, so that no stray message erases anything.
module.exports = function (RED) {
    class AuricleForget {
        constructor(settings) {
            RED.nodes.createNode(this, settings);
            const device = RED.nodes.getNode(settings.device);
            if (!device || !device.attach(this)) {
                return;
            }
            device.answering(this);
            const receipt = receipts(this, device);
            handle(this, async (msg) => {
                const select = selection(msg, settings);
                if (msg.confirm !== device.device) {
                    throw new Error(
                        "forgetting: not confirmed; send msg.confirm with the name of the device, " +
                            `${JSON.stringify(device.device)}`,
                    );
                }
                let answer = await device.command("forget", { select });
                if (answer.body && answer.body.pending) {
                    // Excluded at once; the receipt follows when all is derived again.
                    const text = `${answer.body.facts} excluded`;
                    this.status({ fill: "blue", shape: "dot", text });
                    answer = { ...answer, body: await receipt(answer.id) };
                }
                const count = answer.body ? answer.body.facts_forgotten : undefined;
                const text = count === undefined ? "forgotten" : `${count} forgotten`;
                const made = { ...msg, payload: answer };
                delete made.confirm;
                return { text, send: made };
            });
        }
    }

    RED.nodes.registerType("auricle-forget", AuricleForget);
};
