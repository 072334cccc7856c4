/** Visits: what is one click, one session, one visitor; and Meta's ids by Meta's rules. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { bake, candidates, drop, site } from "../src/cookies";
import { shortId } from "../src/ids";
import { newMetaId, valueOf } from "../src/meta";
import { arrive, linkedVisit, readVisit, visitText } from "../src/visit";
import { bare, samePage, told } from "../src/events";

const NOW = 1_795_000_000_000;
const MINUTE = 60_000;
const DAY = 86_400_000;
const AD = "https://a.example/?fbclid=IwAR1&utm_source=fb";

test("ids are 22 letters and digits and do not repeat", () => {
  const ids = new Set(Array.from({ length: 2000 }, shortId));
  assert.equal(ids.size, 2000);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9]{22}$/);
});

test("an arrival is a new click for another fbclid or another campaign only", () => {
  const first = arrive(null, AD, NOW, shortId);
  assert.ok(first.newAd && first.newTouch);
  const again = arrive(first.visit, AD, NOW + MINUTE, shortId);
  assert.ok(!again.newAd && !again.newTouch);
  assert.equal(again.visit[2], first.visit[2]);
  const plain = arrive(first.visit, "https://a.example/x", NOW + MINUTE, shortId);
  assert.equal(plain.visit[2], first.visit[2]);
  const tagsOnly = arrive(first.visit, "https://a.example/x?utm_source=fb", NOW + MINUTE, shortId);
  assert.equal(tagsOnly.visit[2], first.visit[2], "the site passed its campaign on");
  const mail = arrive(first.visit, "https://a.example/?utm_source=email", NOW + MINUTE, shortId);
  assert.ok(!mail.newAd && mail.newTouch && mail.visit[2] !== first.visit[2]);
});

test("a session ends after half an hour of silence, a click id after 90 days", () => {
  const { visit } = arrive(null, AD, NOW, shortId);
  assert.equal(arrive(visit, "", NOW + 29 * MINUTE, shortId)["visit"][0], visit[0]);
  const later = arrive(visit, "", NOW + 31 * MINUTE, shortId).visit;
  assert.notEqual(later[0], visit[0]);
  assert.equal(arrive(visit, "", NOW + 89 * DAY, shortId).visit[2], visit[2]);
  assert.equal(arrive(visit, "", NOW + 91 * DAY, shortId).visit[2], "");
});

test("the text form reads back as itself, anything else as nobody", () => {
  const { visit } = arrive(null, AD, NOW, shortId);
  assert.equal(visitText(readVisit(visitText(visit))!), visitText(visit));
  for (const text of ["", null, undefined, "x", visitText(visit) + ".x", visitText(visit).slice(1), "a.b.c.d.e.f"]) {
    assert.equal(readVisit(text), null);
  }
});

test("a link hands a visit over for two minutes", () => {
  const { visit } = arrive(null, AD, NOW, shortId);
  const link = "https://b.example/?a=1&_sl=" + visitText(visit);
  assert.equal(visitText(linkedVisit(link, NOW + MINUTE)!), visitText(visit));
  assert.equal(linkedVisit(link, NOW + 3 * MINUTE), null);
});

test("Meta's cookies are known by their form, and kept if they are ones", () => {
  assert.equal(valueOf("fb.1.1789000000000.IwAR1.AQ"), "IwAR1");
  assert.equal(valueOf("fb.2.1789000000000.IwAR_aem-Q0"), "IwAR_aem-Q0");
  assert.equal(valueOf("nonsense"), undefined);
  assert.ok(valueOf("fb.1.1789000000000.1098115397.Bg"));
  for (const text of [undefined, "fb.1.17890.x", "x"]) assert.ok(!valueOf(text));
});

test("cookies go to the highest domain that takes them, with Meta's attributes", () => {
  const written: string[] = [];
  const refused = ["com.br", "br"];
  const page = {
    kept: new Map<string, string>(),
    get cookie() {
      return [...this.kept].map(([name, value]) => `${name}=${value}`).join("; ");
    },
    set cookie(text: string) {
      written.push(text);
      const [, name, value, age, domain] = /^(\w+)=([^;]*);path=\/;max-age=(-?\d+);samesite=lax(?:;domain=([^;]+))?/.exec(text)!;
      if (refused.includes(domain!)) return;
      if (Number(age) <= 0) this.kept.delete(name!);
      else this.kept.set(name!, value!);
    },
  };
  Object.assign(globalThis, { document: page, location: { hostname: "www.loja.com.br", protocol: "https:" } });
  assert.equal(written.length, 0, "nothing is written before it is asked for");
  bake("_fbp", "v");
  assert.equal(site(), "loja.com.br");
  assert.equal(written.at(-1), "_fbp=v;path=/;max-age=7776000;samesite=lax;domain=loja.com.br;secure");
  assert.deepEqual([...page.kept.keys()], ["_fbp"]);
  drop("_fbp");
  assert.equal(page.cookie, "");
  assert.deepEqual(candidates("localhost"), []);
  assert.deepEqual(["loja.com.br", "loja.com", ""].map((domain) => newMetaId(domain, NOW, "v").slice(0, 4)), ["fb.2", "fb.1", "fb.1"]);
});

test("one page is one address without campaign parameters and plain anchors", () => {
  const page = "https://a.example/p?x=1";
  assert.equal(samePage(page + "&fbclid=1&utm_source=f&gclid=2#top"), page);
  assert.notEqual(samePage(page + "#/route"), page);
  assert.equal(told(page + "&_sl=a&fbclid=1#top", false), page + "&fbclid=1");
  assert.equal(told(page + "&_sl=a&fbclid=1#top", true), page);
  assert.equal(told("https://a.example/#/oferta", false), "https://a.example/#/oferta", "a route is a page");
  assert.equal(samePage(page + "&src=a&sck=b&xcod=c&gad_source=1"), page);
  assert.equal(bare(page + "&utm_source=fb&email=ana@example.com#/x?cpf=1"), "https://a.example/p?utm_source=fb#/x");
});
