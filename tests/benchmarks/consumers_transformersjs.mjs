// Logits of an artifact by transformers.js with its own tokenizer. Called by consumers.sh.
//
//     node consumers_transformersjs.mjs ARTIFACT TEXTS.json OUT.json
//
// Writes {versions, labels, single: logits one text at a time, batch: all texts that fit, padded together (null for the
// others), stock: of the texts that do not fit, with the library's own truncation (null for the others)}.
//
// The library cuts a text that is too long after the special tokens were added, so the last one ([SEP]) is lost; Python
// cuts before. `single` cuts as Python does: a caller in JavaScript has to do the same to get the same answer.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";

import { AutoModelForSequenceClassification, AutoTokenizer, Tensor, env } from "@huggingface/transformers";

const [artifact, textsFile, out] = process.argv.slice(2);
const texts = JSON.parse(readFileSync(textsFile, "utf-8"));
env.allowRemoteModels = false;
env.localModelPath = dirname(artifact);
const tokenizer = await AutoTokenizer.from_pretrained(basename(artifact));
const model = await AutoModelForSequenceClassification.from_pretrained(basename(artifact), {
  subfolder: "",
  dtype: "fp32", // the name of the file, model.onnx, whatever the precision inside
});
const limit = tokenizer.model_max_length;

/** Token ids of one text, special tokens included, not cut. */
function idsOf(text, special = true) {
  return tokenizer(text, { add_special_tokens: special, return_tensor: false }).input_ids;
}

/** Token ids cut to the limit in the middle, so that the special tokens on both sides stay. */
function cut(text) {
  const full = idsOf(text);
  if (full.length <= limit) return full;
  const plain = idsOf(text, false);
  const added = full.length - plain.length;
  let before = 0;
  while (before < added && plain.some((id, index) => full[before + index] !== id)) before += 1;
  return [...full.slice(0, before), ...plain.slice(0, limit - added), ...full.slice(before + plain.length)];
}

/** One row of logits for each list of ids; all of one length. */
async function run(inputs) {
  const { logits } = await model(inputs);
  return logits.to("float32").tolist();
}

async function single(text) {
  const ids = cut(text).map(BigInt);
  const shape = [1, ids.length];
  const mask = new Array(ids.length).fill(1n);
  const inputs = { input_ids: new Tensor("int64", ids, shape), attention_mask: new Tensor("int64", mask, shape) };
  return (await run(inputs))[0];
}

const fits = texts.map((text) => idsOf(text).length <= limit);
const short = texts.filter((_, index) => fits[index]);
const together = await run(tokenizer(short, { padding: true, truncation: true }));
const result = {
  versions: `transformers.js ${env.version}, Node ${process.versions.node}`,
  labels: Object.keys(model.config.id2label).map((index) => model.config.id2label[index]),
  single: [],
  batch: fits.map((fit) => (fit ? together.shift() : null)),
  stock: [],
};
for (const [index, text] of texts.entries()) {
  result.single.push(await single(text));
  result.stock.push(fits[index] ? null : (await run(tokenizer(text, { truncation: true })))[0]);
}
writeFileSync(out, JSON.stringify(result));
