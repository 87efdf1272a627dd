// Names for the generated types of the stages around the delivery path, so that pages read well. The server's document is
// the only source. Unknown stays unknown: an optional field is absent or null, and the reason stands beside it; it is
// never zero. No field ever holds a secret's value.
import type { components } from './schema';

type S = components['schemas'];
/** An exact amount: decimal text and an ISO 4217 code. */
export type Money = S['Money'];
/** `file:line` of the user's own file; line 0 is the whole file. */
export type Place = S['FilePlace'];
export type Severity = S['Severity'];

export type ProvisionView = S['ProvisionView'];
export type InfraEnvironment = S['InfraEnvironment'];
export type InfraResource = S['InfraResource'];
export type InfraPlan = S['InfraPlan'];
export type PlanState = S['PlanState'];
export type PlanChange = S['PlanChange'];
export type ChangedAttribute = S['ChangedAttribute'];
export type ResourceAction = S['ResourceAction'];
export type DriftCheck = S['DriftCheck'];

export type SecureView = S['SecureView'];
export type FindingRow = S['FindingRow'];
export type ExceptionRow = S['ExceptionRow'];
export type SecretRow = S['SecretRow'];
export type BomRow = S['BomRow'];
export type GateRow = S['GateRow'];
export type GateAnswer = S['GateAnswer'];
export type ControlRow = S['ControlRow'];

export type OptimizeView = S['OptimizeView'];
export type CostRow = S['CostRow'];
export type BudgetRow = S['BudgetRow'];
export type RecommendationRow = S['RecommendationRow'];
export type AdviceStanding = S['AdviceStanding'];
export type PipelineCost = S['PipelineCost'];

export type TeamReport = S['TeamReportView'];
export type ReportSection = S['ReportSection'];
