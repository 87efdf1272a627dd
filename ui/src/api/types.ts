// Names for the generated types, so that pages read well. The server's document is the only source.
import type { components } from './schema';

type S = components['schemas'];
export type State = S['State'];
export type StationId = S['StationId'];
export type LoopHome = S['LoopHome'];
export type Station = S['Station'];
export type ChangeRow = S['ChangeRow'];
export type ChangeThread = S['ChangeThread'];
export type ThreadStep = S['ThreadStep'];
export type NowItem = S['NowItem'];
export type RunsPage = S['RunsPage'];
export type RunRow = S['RunRow'];
export type RunDetail = S['RunDetail'];
export type RunOutcome = S['RunOutcome'];
export type Job = S['Job'];
export type JobLog = S['JobLog'];
export type JobLogLine = S['JobLogLine'];
export type Service = S['Service'];
export type ServicePlace = S['ServicePlace'];
export type Weight = S['Weight'];
export type Observed = S['Observed'];
export type Evidence = S['Evidence'];
export type SignalCounts = S['SignalCounts'];
export type StepState = S['StepState'];
export type Rollout = S['Rollout'];
export type RolloutState = S['RolloutState'];
export type RolloutAction = S['RolloutAction'];
export type Freeze = S['Freeze'];
export type IncidentRow = S['IncidentRow'];
export type IncidentDetail = S['IncidentDetail'];
export type IncidentState = S['IncidentState'];
export type Cause = S['Cause'];
export type Dora = S['Dora'];
export type Distribution = S['Distribution'];
export type EventView = S['EventRow'];
export type EventsPage = S['EventsPage'];
export type EventProof = S['EventProof'];
export type LedgerInfo = S['LedgerInfo'];
export type Verification = S['Verification'];
export type Checkpoint = S['Checkpoint'];
export type Dashboard = S['Dashboard'];
export type DashboardRow = S['DashboardRow'];
export type Panel = S['Panel'];
export type LogLine = S['LogLine'];
export type LogLines = S['LogLines'];
export type LogHistogram = S['LogHistogram'];
export type LogPattern = S['LogPattern'];
export type Hit = S['Hit'];
export type Check = S['Check'];
export type Accepted = S['Accepted'];

/** The Prometheus HTTP API's answers, which are not part of our own document. */
export interface Prometheus<T> { status: string; data: T; error?: string; errorType?: string; warnings?: string[] }
export interface VectorSample { metric: Record<string, string>; value: [number, string] }
export interface MatrixSeries { metric: Record<string, string>; values: [number, string][] }
export type QueryData =
  | { resultType: 'vector'; result: VectorSample[] }
  | { resultType: 'matrix'; result: MatrixSeries[] }
  | { resultType: 'scalar' | 'string'; result: [number, string] };
export interface PromAlert {
  labels: Record<string, string>; annotations: Record<string, string>; state: string; activeAt?: string; value: string;
}
/** A silence, as version 2 of Alertmanager's API writes it. */
export interface Silence {
  id: string; status: { state: 'active' | 'pending' | 'expired' }; startsAt: string; endsAt: string; createdBy: string; comment: string;
  matchers: { name: string; value: string; isRegex: boolean; isEqual: boolean }[];
}
export interface PromRule {
  name: string; query: string; type: 'alerting' | 'recording'; health?: string; lastError?: string; state?: string;
  duration?: number; labels?: Record<string, string>; annotations?: Record<string, string>; alerts?: PromAlert[];
  evaluationTime?: number; lastEvaluation?: string;
}
export interface RuleGroup { name: string; file: string; interval: number; rules: PromRule[] }
export interface PromTarget {
  labels: Record<string, string>; scrapePool: string; scrapeUrl: string; health: string; lastError: string;
  lastScrape: string; lastScrapeDuration: number;
}
