// Answers of the stages around the delivery path: GET /api/v1/provision, /api/v1/secure, /api/v1/optimize and
// /api/v1/reports/{team}. They are close to the nouns of lem-model. Unknown stays unknown: an optional field is absent
// or null, and the reason stands beside it; it is never zero. No field ever holds a secret's value.
import type { State } from './types';

/** An exact amount: decimal text and an ISO 4217 code. */
export interface Money { amount: string; currency: string }
/** `file:line` of the user's own file. */
export interface Place { file: string; line: number }
export type Severity = 'info' | 'low' | 'medium' | 'high' | 'critical';
type Maybe<T> = T | null;

// Provision ------------------------------------------------------------------------------------------------------

export type ResourceAction = 'no_op' | 'create' | 'read' | 'update' | 'delete_create' | 'create_delete' | 'delete' | 'forget';
export interface PlanCounts { create: number; update: number; replace: number; delete: number; unchanged: number }

export interface ProvisionView {
  environments: InfraEnvironment[];
  /** Resources of every environment, in order of address. */
  resources: InfraResource[];
  resourcesOmitted: number;
  /** The newest plan of each environment, newest first. */
  plans: InfraPlan[];
  /** The last drift check of each environment. */
  drift: DriftCheck[];
  /** Infrastructure documentation, one per root. */
  docs: InfraDoc[];
}
export interface InfraEnvironment {
  environment: string; root: string; language: 'terraform' | 'cloudformation' | 'kubernetes';
  /** native, terraform, tofu. */
  engine: string;
  state: State; word: string; sentence: string;
  resources: number;
  appliedAt?: Maybe<string>; appliedSha?: Maybe<string>; appliedSeq?: Maybe<number>;
  monthly?: Maybe<Money>;
  /** Resources whose cost nobody knows. */
  unpriced: number;
}
export interface InfraResource {
  environment: string; address: string; kind: string; provider: string; region?: Maybe<string>; data: boolean;
  state: State; word: string;
  place: Place;
  dependsOn: string[];
  /** As they may be shown: what is sensitive or unknown says so. */
  attributes: { name: string; value: string }[];
  monthly?: Maybe<Money>; unpricedWhy?: Maybe<string>;
  /** Open findings on it. */
  findings: number;
}
export interface InfraPlan {
  /** Digest of the plan. */
  plan: string; environment: string; root: string; engine: string; at: string; seq: number; by: string; sha?: Maybe<string>;
  state: 'proposed' | 'applied' | 'failed' | 'refused' | 'stale';
  counts: PlanCounts;
  changes: PlanChange[]; changesOmitted: number;
  /** Known monthly cost before and after. */
  before?: Maybe<Money>; after?: Maybe<Money>;
  unpriced: { address: string; reason: string }[];
  gate: { answer: 'allow' | 'deny' | 'unknown'; reasons: string[]; seq?: Maybe<number> };
}
export interface PlanChange {
  address: string; kind: string; action: ResourceAction; place: Place;
  /** Why it is replaced, when it is. */
  why?: Maybe<string>;
  attributes: { name: string; before?: Maybe<string>; after?: Maybe<string> }[];
  before?: Maybe<Money>; after?: Maybe<Money>; unpricedWhy?: Maybe<string>;
  policy: { rule: string; severity: Severity; title: string }[];
}
export interface DriftCheck { environment: string; root: string; at: string; seq: number; changes: PlanChange[] }
export interface InfraDoc { root: string; title: string; /** Markdown. */ text: string }

// Secure ---------------------------------------------------------------------------------------------------------

export interface SecureView {
  scan?: Maybe<ScanInfo>;
  /** What runs now first, then by severity. */
  findings: FindingRow[]; findingsOmitted: number;
  exceptions: ExceptionRow[];
  secrets: SecretRow[];
  boms: BomRow[];
  gates: GateRow[];
  controls: ControlRow[];
}
export interface ScanInfo { at: string; seq: number; sha?: Maybe<string>; advisoriesDate: string; advisoriesAgeDays: number; rules: number; /** Values rules could not judge. */ unknown: number }
export interface FindingRow {
  fingerprint: string; rule: string; aliases: string[];
  scanner: 'infrastructure' | 'pipeline' | 'vulnerability' | 'secret';
  severity: Severity; unscored: boolean; title: string;
  /** Resource address, package URL or path, with the commit for history. */
  subject: string;
  place: Place;
  fix?: Maybe<string>; owner?: Maybe<string>;
  /** Where it runs now; empty when it runs nowhere. */
  running: { service: string; environment: string; version: string }[];
  standing: 'open' | 'excepted';
  firstSeenAt: string; seq: number;
  references: string[];
}
export interface ExceptionRow { covers: string; title: string; owner: string; approver?: Maybe<string>; reason: string; expires?: Maybe<string>; expired: boolean; seq?: Maybe<number> }
export interface SecretRow { path: string; version: number; changedAt?: Maybe<string>; by?: Maybe<string>; seq?: Maybe<number>; leases: { lease: string; to: string; expires: string }[] }
export interface BomRow { artifact: string; name: string; version?: Maybe<string>; components?: Maybe<number>; /** predicate types that are signed. */ attestations: string[]; key?: Maybe<string>; href?: Maybe<string>; seq: number; running: boolean }
export interface GateRow { gate: string; subject: string; environment?: Maybe<string>; answer: 'allow' | 'deny' | 'unknown'; reasons: string[]; at: string; seq: number }
export interface ControlRow { control: string; title: string; state: State; sentence: string; seqs: number[] }

// Optimize -------------------------------------------------------------------------------------------------------

export interface OptimizeView {
  /** Edition of the price book and how old it is. */
  prices: string; pricesAgeDays: number;
  monthly?: Maybe<Money>; monthlyBefore?: Maybe<Money>;
  byService: CostRow[]; byEnvironment: CostRow[]; byTeam: CostRow[];
  unpriced: { address: string; reason: string }[];
  budgets: BudgetRow[];
  recommendations: RecommendationRow[];
  pipelines: PipelineCost[];
}
export interface CostRow {
  name: string; monthly?: Maybe<Money>; before?: Maybe<Money>;
  /** Resources of it whose cost nobody knows. */
  unpriced: number;
  /** The change that moved it. */
  moved?: Maybe<{ sentence: string; sha?: Maybe<string>; seq: number }>;
}
export interface BudgetRow { budget: string; environment: string; limit: Money; estimate?: Maybe<Money>; state: State; sentence: string; seq?: Maybe<number> }
export interface RecommendationRow {
  recommendation: string; kind: string; target: string; environment?: Maybe<string>; service?: Maybe<string>;
  standing: 'proposed' | 'applied' | 'verified' | 'inconclusive' | 'reverted' | 'dismissed' | 'expired' | 'superseded';
  standingWhy?: Maybe<string>;
  sentence: string; evidence: string[]; risk: string;
  /** Change of the monthly cost, when it is known. */
  delta?: Maybe<Money>;
  /** Unified diff to the user's own file. */
  patch?: Maybe<string>;
  cause: string; at: string; seq: number;
}
export interface PipelineCost { workflow: string; runs: number; medianMs?: Maybe<number>; criticalPath: string[]; slowest: { job: string; step: string; medianMs: number; share: number }[] }

// Reports --------------------------------------------------------------------------------------------------------

export type Team = 'engineering' | 'qa' | 'product' | 'security' | 'support' | 'finance';
/** As lem-model's report, with where it stands as a file. */
export interface TeamReport { team: Team; title: string; generatedAt: string; sections: ReportSection[]; files: { name: string; href: string }[] }
export interface ReportSection {
  title: string; columns: string[];
  /** Cells are text, never markup; the event is what proves the row. */
  rows: { cells: string[]; event?: Maybe<number> }[];
  /** Where the numbers come from, what is unknown, why the table is empty. */
  note?: Maybe<string>;
}
