// The lines of a plan: what happens to each resource, with its cost and what policy says beside it.
import type { PlanChange, ResourceAction } from '../api/stages';
import type { State } from '../api/types';
import { difference, money } from '../lib/money';
import { StateWord } from './basic';
import { At, SeverityWord } from './stage';

const ACTION: Record<ResourceAction, [string, string, State]> = {
  no_op: [' ', 'unchanged', 'unknown'], create: ['+', 'create', 'ok'], read: ['↓', 'read', 'unknown'], update: ['~', 'update', 'waiting'],
  delete_create: ['±', 'replace', 'bad'], create_delete: ['±', 'replace', 'bad'], delete: ['−', 'delete', 'bad'], forget: ['×', 'forget', 'unknown'],
};

function Cost({ change: c }: { change: PlanChange }) {
  if (c.before && c.after) return <>{money(c.after)}<p class="muted">{difference(c.before, c.after)}</p></>;
  if (c.after) return <>{money(c.after)}<p class="muted">new</p></>;
  if (c.before) return <>gone<p class="muted">was {money(c.before)}</p></>;
  return <span class="muted">{c.unpricedWhy ?? 'unknown'}</span>;
}

const given = (text: string | null | undefined): text is string => text !== null && text !== undefined;

/** Attributes before and after; where the ledger holds names alone, the names. */
function Attributes({ change: c }: { change: PlanChange }) {
  const [named, known] = [c.attributes.filter((a) => !given(a.before) && !given(a.after)), c.attributes.filter((a) => given(a.before) || given(a.after))];
  return (
    <>
      {known.length > 0 && <dl class="plan-attributes mono">{known.map((a) => <div key={a.name}><dt>{a.name}</dt><dd>{given(a.before) && <><del>{a.before}</del> → </>}<ins>{a.after ?? '(gone)'}</ins></dd></div>)}</dl>}
      {named.length > 0 && c.action !== 'delete' && <p class="muted">{c.action === 'create' ? 'sets' : 'differs in'} {named.map((a, i) => <>{i > 0 && ', '}<code>{a.name}</code></>)}</p>}
    </>
  );
}

export function Changes({ changes, label, drift }: { changes: PlanChange[]; label: string; drift?: boolean }) {
  return (
    <div class="plan" role="list" aria-label={label}>
      {changes.map((c) => {
        const [sign, word, state] = ACTION[c.action] ?? ACTION.no_op;
        return (
          <div class={`plan-line is-${state}`} role="listitem" key={c.address}>
            <span class="plan-sign mono" aria-hidden="true">{sign}</span>
            <div class="plan-what">
              <p><strong class="mono">{c.address}</strong> <span class="plan-word">{drift ? 'differs' : word}</span> <At place={c.place} /></p>
              {c.why && <p class="muted">{c.why}</p>}
              <Attributes change={c} />
            </div>
            <div class="plan-policy">{c.policy.length === 0 ? (drift ? null : <StateWord state="ok" word="no finding" />) : c.policy.map((p) => <p key={p.rule}><SeverityWord severity={p.severity} /> {p.title} <code>{p.rule}</code></p>)}</div>
            {!drift && <div class="plan-cost num"><Cost change={c} /></div>}
          </div>
        );
      })}
    </div>
  );
}
