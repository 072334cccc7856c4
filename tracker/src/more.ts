/**
 * The second part of the script, which few pages need: it's asked for when the page first calls for something of it.
 * Nothing that leads a buyer anywhere is in it.
 */

import { options } from "./config";
import { warn } from "./quiet";
import type { Second } from "./second";

let part: Promise<unknown> | undefined;

/** Does something with the second part; what fails, and an address that is blocked, is told and gives undefined. */
export const more = <T>(act: (second: Second) => T | Promise<T>): Promise<T | void> =>
  (part =
    part ||
    new Promise((done, fail) => {
      const script = document.createElement("script");
      script.src = options.second;
      script.onload = done;
      script.onerror = () => fail(script.src);
      document.head.append(script);
    }))
    .then(() => act((window as any).sinal.second))
    .catch(warn);
