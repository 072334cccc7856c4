/**
 * JSON in local storage that may be absent, full, forbidden or broken: then it holds nothing, and nobody hears of it.
 * What tells of a person is taken out of whatever is written: this is the one door to the machine's storage.
 */

import { json } from "./json";
import { quiet } from "./quiet";

/** A word with an e-mail address, a CPF or a phone number in it, as `runtime/sinal_core/telemetry/personal.py` knows them. */
const WORD_OF_PERSON = /[^/?&=#"\\]*(@|%40|\d{3}\.\d{3}\.\d{3}-|(\b55 ?\(?\d\d\)?|\(\d\d\)) ?9?\d{4}[- ]?\d{4}\b)[^/?&#"\\]*/g;

export interface Box {
  read(name: string): any;
  /** Undefined is deleted. A full storage would keep its old text, which would be read again: that is deleted too. */
  write(name: string, value?: unknown): void;
}

export const impersonal = (text: string): string => text.replace(WORD_OF_PERSON, "");

export const box: Box = {
  read: quiet((name) => JSON.parse(localStorage.getItem(name) as string)),
  write: quiet((name, value) => {
    localStorage.removeItem(name);
    if (value !== undefined) localStorage.setItem(name, impersonal(json(value)));
  }),
};
