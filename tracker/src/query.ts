/**
 * URLs read and edited as text. An edit leaves whatever the page wrote with its bytes, its order and its encoding: URL
 * and URLSearchParams would write the whole query anew, and a checkout may compare it.
 */

/** The text without halves of characters, as a cut in the middle of an emoji leaves them: no UTF-8 has these. */
export const whole = (text: string): string => text.replace(/[\ud800-\udfff]/gu, "");

/** The query's parameters; of several of a name, `get` gives the first. */
export const params = (url: string): URLSearchParams => new URLSearchParams((/\?[^#]*/.exec(url) || "")[0]);

/** What stands for nothing: words that programs write for it, and macros that nobody replaced. */
const NOTHING = /^(undefined|null|none|nan|)$|[{]{2}/i;

/**
 * Values of a parameter in a link that people may have broken on its way: `&amp;`, a second `?`, a whole query encoded,
 * words behind `#`, blanks around. What is nothing is none. The rules are those of the edge (`tests/fixtures/links.json`).
 */
export function valuesOf(url: string, name: string): string[] {
  const found: string[] = [];
  const find = (text: string) =>
    text.replace(new RegExp(`(?:[?&#;]|%26|%3b)(?:%20|[ +])*${name}(?:%20|[ +])*(?:=|%3d)([^&#?]*)`, "gi"), (_, value) => {
      const known = (new URLSearchParams("v=" + value.split(/%26(?=utm_|fbclid)/i)[0]).get("v") as string).trim();
      if (!NOTHING.test(known)) found.push(known);
      return "";
    });
  find(url.split("#")[0] as string);
  if (!found[0]) find(url);
  return found;
}

/** A link of the page as the browser would follow it. */
export const absolute = (link: string | URL | null): string => new URL(link || "", document.baseURI).href;

const edit = (url: string, change: (pairs: string[]) => string[]): string =>
  url.replace(/(\?[^#]*)?(?=#|$)/, (mark) => {
    const query = mark.slice(1);
    const changed = change(query ? query.split("&") : []).join("&");
    return changed === query ? mark : changed && "?" + changed;
  });

const pairOf = (pair: string): [string, string] => [...new URLSearchParams(pair)][0] || ["", ""];

/** The URL with this parameter: in the place of one of that name, else at the end. */
export const withParam = (url: string, name: string, value: string): string =>
  edit(url, (pairs) => {
    const at = pairs.findIndex((pair) => pairOf(pair)[0] === name);
    pairs[at < 0 ? pairs.length : at] = name + "=" + encodeURIComponent(whole(value));
    return pairs;
  });

/** The URL without the parameters that `unwanted` names. */
export const withoutParams = (url: string, unwanted: (name: string, value: string) => unknown): string =>
  edit(url, (pairs) => pairs.filter((pair) => !unwanted(...pairOf(pair))));
