"use strict";

// Shared by every node of this package: shows its state, answers each message once, and reports errors
// to Node-RED's Catch nodes.

// Run one message.  work: (msg) => promise of what to send.  Ends with done().
function handle(node, work) {
    node.on("input", async (msg, send, done) => {
        try {
            node.status({ fill: "blue", shape: "dot", text: "waiting" });
            const made = await work(msg);
            node.status({ fill: "green", shape: "dot", text: made.text });
            send(made.send);
            done();
        } catch (error) {
            node.status({ fill: "red", shape: "ring", text: error.message.slice(0, 60) });
            done(error);
        }
    });
}

// Return the first of some texts that is not empty.
function first(...given) {
    const found = given.find((one) => typeof one === "string" && one.trim() !== "");
    return found === undefined ? "" : found.trim();
}

module.exports = { first, handle };
