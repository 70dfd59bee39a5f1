import type { ModuleOrigin } from '../origin/module-origin.ts';
import { noPrivateNames, type PrivateNames } from '../policy/private-names.ts';
import type { ModulePath } from '../protocol/module-path.ts';

/** Where the files of a module come from. */
export type Home =
  /** Interchangeable upstreams, whose bytes a public database proves. */
  | { readonly kind: 'public'; readonly origin: ModuleOrigin }
  /** The one place of a private module, which makes a version when it is asked for. */
  | { readonly kind: 'source'; readonly origin: ModuleOrigin }
  /** What was put here, and nothing else: published, or made by `origin` when a webhook had it checked. */
  | { readonly kind: 'archive'; readonly origin: ModuleOrigin | undefined }
  /** Above private modules: no module, and a name that nobody else is to hear of. */
  | { readonly kind: 'none' };

export interface Homes {
  of(module: ModulePath): Home;
}

export interface HomesParts {
  readonly names: PrivateNames;
  readonly upstreams: ModuleOrigin;
  /** By the number of the private rule; undefined where versions are published and not made. */
  readonly sources: readonly (PrivateSource | undefined)[];
}

export interface PrivateSource {
  readonly origin: ModuleOrigin;
  /** `archive-on-tag`: clients see what was archived alone. */
  readonly mode: 'on-demand' | 'archive-on-tag';
}

const archive: Home = { kind: 'archive', origin: undefined };
const none: Home = { kind: 'none' };

/** Of a hub without private modules. */
export function publicHomes(upstreams: ModuleOrigin): Homes {
  return createHomes({ names: noPrivateNames, upstreams, sources: [] });
}

export function createHomes({ names, upstreams, sources }: HomesParts): Homes {
  const atUpstreams: Home = { kind: 'public', origin: upstreams };
  const atRule: readonly Home[] = sources.map((source) =>
    source === undefined ? archive : { kind: source.mode === 'on-demand' ? 'source' : 'archive', origin: source.origin },
  );
  return {
    of: (module) => {
      const privacy = names.of(module);
      switch (privacy.kind) {
        case 'public':
          return atUpstreams;
        case 'parent':
          return none;
        case 'private':
          return atRule[privacy.rule] ?? archive;
      }
    },
  };
}

/** Whether a home is one of the company's own names. */
export function isPrivateHome({ kind }: Home): boolean {
  return kind !== 'public';
}

/** Whether there is somebody to ask about what is not stored here. */
export function isAsked(home: Home): home is Extract<Home, { readonly origin: ModuleOrigin }> {
  return home.kind === 'public' || home.kind === 'source';
}
