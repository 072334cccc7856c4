/** URLs: the page's bytes stay, our id goes where the gateway gives it back. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { loaded, ruleOf, RULES, type Cargo } from "../src/checkout";
import { withoutParams, withParam } from "../src/query";

const ID = "abcdefghijkl0123456789";
const cargo = (more: Partial<Cargo> = {}): Cargo => ({ id: ID, ours: new Set([ID]), fbclid: undefined, utm: {}, ...more });
const put = (url: string, gateway: string, more: Partial<Cargo> = {}) => loaded(url, RULES[gateway]!, cargo(more));

test("an edit leaves every other byte where it was", () => {
  const odd = "https://x.example/p%2Fq?a=1&&b=%C3%A7+x&c&a=2|3#f?z=1";
  assert.equal(withParam(odd, "n", "ç &"), "https://x.example/p%2Fq?a=1&&b=%C3%A7+x&c&a=2|3&n=%C3%A7%20%26#f?z=1");
  assert.equal(withParam(odd, "b", "2"), "https://x.example/p%2Fq?a=1&&b=2&c&a=2|3#f?z=1");
  assert.equal(withoutParams(odd, (name) => name === "a"), "https://x.example/p%2Fq?&b=%C3%A7+x&c#f?z=1");
  assert.equal(withoutParams("https://x.example/?a=1", () => true), "https://x.example/");
  assert.equal(withoutParams(odd, () => false), odd);
});

test("loading a link twice changes nothing more", () => {
  for (const gateway of Object.keys(RULES)) {
    for (const url of ["https://h.example/p", "https://h.example/p?sck=a|b&src=c&off=1#f", "https://h.example/?xcod=1&sck=2&src=3"]) {
      const once = put(url, gateway, { utm: { source: "fb" }, fbclid: "IwAR1" });
      assert.equal(put(once, gateway, { utm: { source: "fb" }, fbclid: "IwAR1" }), once);
    }
  }
});

test("an id of ours from before is replaced, and taken away when there is none to give", () => {
  const old = "zzzzzzzzzzzzzzzzzzzzzz";
  const link = `https://pay.kiwify.com.br/x?sck=${old}&off=1`;
  assert.equal(put(link, "kiwify", { ours: new Set([old, ID]) }), `https://pay.kiwify.com.br/x?off=1&sck=${ID}`);
  assert.equal(put(link, "kiwify", { id: "", ours: new Set([old]) }), "https://pay.kiwify.com.br/x?off=1");
});

test("an empty slot is free, a taken one is not", () => {
  assert.equal(put("https://a.example/?sck=", "kiwify"), `https://a.example/?sck=${ID}`);
  assert.equal(put("https://a.example/?client_reference_id=meu", "stripe"), "https://a.example/?client_reference_id=meu");
  assert.equal(put("https://a.example/?xcod=meu", "hotmart"), `https://a.example/?xcod=meu&sck=${ID}&src=${ID}`);
});

test("where only UTMs come back, our id goes as one and the campaign's stand beside it", () => {
  const link = put("https://lastlink.com/p/x", "lastlink", { utm: { source: "fb" } });
  assert.equal(link, `https://lastlink.com/p/x?utm_id=${ID}&utm_source=fb`);
});

test("hosts are whole names: no look-alike gets the visitor's id", () => {
  for (const host of ["pay.hotmart.com", "loja.mycartpanda.com", "pay.kiwify.com.br", "checkout.ticto.app"]) assert.ok(ruleOf(host), host);
  for (const host of ["hotmart.com", "xpay.hotmart.com", "pay-hotmart.com", "pay.hotmart.com.evil.example", "paykirvano.com"]) {
    assert.equal(ruleOf(host), undefined, host);
  }
  assert.equal(ruleOf("pague.loja.example", "stripe"), RULES.stripe);
});
