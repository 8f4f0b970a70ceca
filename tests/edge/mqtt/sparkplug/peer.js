// Decodes and encodes payloads with npm's sparkplug-payload: reads {"payloads": [base64...],
// "commands": [{...}]} and writes {"decoded": [...], "encoded": [base64...]}.  A metric without a
// data type gets that of the last birth message that gave its alias, as a host must do (Sparkplug
// 3.0.0, section 6.4.6: data messages leave it out).
const sparkplug = require("sparkplug-payload").get("spBv1.0");
const {
  org: { eclipse: { tahu: { protobuf: { Payload } } } },
} = require("sparkplug-payload/lib/sparkplugPayloadProto");

const plain = (_key, value) =>
  value && typeof value === "object" && "unsigned" in value ? Number(value) : value;
const types = new Map();

function decode(text) {
  const bytes = Buffer.from(text, "base64");
  const untyped = sparkplug.decodePayload(bytes);
  const message = Payload.decode(bytes);
  for (const metric of message.metrics) {
    const alias = String(metric.alias);
    if (metric.datatype) types.set(alias, metric.datatype);
    else metric.datatype = types.get(alias);
  }
  return { untyped, typed: sparkplug.decodePayload(Payload.encode(message).finish()) };
}

let input = "";
process.stdin.on("data", (part) => (input += part));
process.stdin.on("end", () => {
  const given = JSON.parse(input);
  const decoded = given.payloads.map(decode);
  const encoded = given.commands.map((one) =>
    Buffer.from(sparkplug.encodePayload(one)).toString("base64"),
  );
  process.stdout.write(JSON.stringify({ decoded, encoded }, plain));
});
