import test from "ava";
import { UnavailableError } from "../../../shared/errors.ts";
import { callApi } from "../../../shared/jetstream/api.ts";
import { decodeHeaders } from "../../../shared/jetstream/headers.ts";
import type { RequestOptions, Requests } from "../../../shared/jetstream/requests.ts";
import { bytes } from "./fixtures.ts";

/** Gives one answer to whoever asks. */
const answering = (text: string): Requests =>
  ({
    ask: async ({ receive }: RequestOptions) =>
      void receive({ data: bytes(text), headers: decodeHeaders(new Uint8Array()) }),
  }) as unknown as Requests;

test("what answers in a server's place and is no answer of a server counts as none", async (t) => {
  for (const text of ["null", "1", '"x"', '{"error":1}', '{"error":null}', "{", ""])
    await t.throwsAsync(callApi(answering(text), "INFO", undefined), {
      instanceOf: UnavailableError,
      message: /^The answer to INFO is n/,
    });
  t.deepEqual(await callApi(answering('{"a":1}'), "INFO", undefined), { a: 1 });
});
