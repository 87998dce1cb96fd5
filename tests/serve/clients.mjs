// The clients of Node, unmodified: `node clients.mjs FOLDER ADDRESS PICTURE`, where npm installed them into FOLDER.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, address, picture] = process.argv.slice(2);
const require = createRequire(`${folder}/x.js`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { default: OpenAI, toFile, BadRequestError, RateLimitError } = await load("openai");
const { generateImage, experimental_generateImage } = await load("ai");
const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");

const extra = { strength: 0.5, seed: 7, steps: 4 };
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "any" });
const isPNG = (text) => assert.equal(Buffer.from(text, "base64").subarray(1, 4).toString(), "PNG");

const models = await client.models.list();
assert.equal(models.data.length, 1);

const made = await client.images.generate({ model: "gpt-image-1", prompt: "a", size: "64x32", n: 2, ...extra });
assert.equal(made.data.length, 2);
isPNG(made.data[0].b64_json);

const file = await toFile(fs.readFileSync(picture), "room.png", { type: "image/png" });
const edited = await client.images.edit({ image: file, prompt: "a", ...extra });
isPNG(edited.data[0].b64_json);
const streamed = await client.images.edit({ image: [fs.createReadStream(picture)], prompt: "a", ...extra }); // chunked
assert.equal(streamed.data[0].b64_json.length > 100, true);

const kinds = [];
const steps = { ...extra, steps: 200, strength: 0.9, stream: true, partial_images: 2 };
for await (const event of await client.images.edit({ image: file, prompt: "a", ...steps })) kinds.push(event.type);
assert.equal(kinds.at(-1), "image_edit.completed");
assert.equal(kinds[0], "image_edit.partial_image");
for await (const event of await client.images.edit({ image: file, prompt: "a", ...steps, steps: 1000 })) {
  assert.equal(event.type, "image_edit.partial_image");
  break;
}

await assert.rejects(client.images.edit({ image: file, prompt: "a", strength: 3 }), (problem) => {
  assert.ok(problem instanceof BadRequestError && !(problem instanceof RateLimitError));
  assert.match(problem.message, /strength must be between/);
  return true;
});

const generate = generateImage ?? experimental_generateImage;
const provider = createOpenAICompatible({ name: "partway", baseURL: `${address}/v1`, apiKey: "any" });
const model = provider.imageModel("any");
const first = await generate({ model, prompt: "a", size: "64x32", providerOptions: { partway: extra } });
isPNG(first.image.base64);
const second = await generate({
  model,
  prompt: { text: "a", images: [fs.readFileSync(picture)] },
  providerOptions: { partway: { strength: 0 } },
});
isPNG(second.image.base64);
console.log("all passed");
