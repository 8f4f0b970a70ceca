"use strict";

// The topic tree of a device, as docs/reference/topics.md has it: a name is one topic level, in
// which / + # % and control characters are percent-encoded.

const ROOT = "auricle/v1";
const RESERVED = /[/+#%\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

function percent(character) {
    return Array.from(Buffer.from(character, "utf8"))
        .map((byte) => "%" + byte.toString(16).toUpperCase().padStart(2, "0"))
        .join("");
}

// Return a name as one topic level; throws for an empty one.
function encodeLevel(name) {
    if (typeof name !== "string" || name === "") {
        throw new Error("making a topic: expected a name of one character or more, found none");
    }
    return name.replace(RESERVED, percent);
}

// Return the topic below a device, from names: topic("gw1", "decision", "gate").
function topic(device, ...names) {
    return [ROOT, device, ...names].map((name, at) => (at ? encodeLevel(name) : name)).join("/");
}

module.exports = { encodeLevel, topic };
