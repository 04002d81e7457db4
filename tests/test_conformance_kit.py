"""The kit itself: plugins that keep every promise pass it, and each broken one is caught, with a message that says what is wrong."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import kit_broken  # here, so that it is not imported once more for each mutant
import pytest
from breadth import ON_EVERY_VERSION
from kit_addons import LabelsSuite
from kit_random import random_run
from kit_reference import FakeSuite, ReferenceOrchestrator, ReferenceSuite, ServiceSuite

from starlake_core import ContractError, Job, Orchestration, Run, RunKey, RunRequest, TaskState
from starlake_core.runtime import Verdict
from starlake_core.testing import (
    CORPUS,
    AddonSuite,
    EnvironmentSuite,
    FakeEnvironment,
    NativeGraph,
    NativeTask,
    OrchestratorSuite,
    RecordingOrchestrator,
    StandIn,
    Step,
    describe_records,
    neutral_graph,
    validate_arguments,
)
from starlake_core.testing.documentation import check_promises
from starlake_core.testing.graphs import differences, tasks_before
from starlake_core.testing.orchestrator_requests import FIELDS
from starlake_core.testing.promises import checks_of

SUITES = {"environments": EnvironmentSuite, "orchestrators": OrchestratorSuite, "add-ons": AddonSuite}

pytest_plugins = ["starlake_core.testing.plugin", "pytester"]


class TestReference(ReferenceSuite):
    """An orchestrator that keeps every promise."""


class TestFake(FakeSuite):
    """An environment that keeps every promise."""


class TestService(ServiceSuite):
    """One with a service, whose jobs outlive the process that submits them."""


class TestLabels(LabelsSuite):
    """An add-on that keeps every promise."""


_BATCHES = 8

# What is broken, the check that has to catch it, and words of its message.
BROKEN = [
    (
        "IgnoresAnOption",
        "test_every_option_has_an_effect",
        "'kit_cores' changes neither a job nor the pipeline (tried 7, 3",
    ),
    ("UsesAnOptionOfNoEffect", "test_every_option_has_an_effect", "effective=False, and changes a job"),
    ("IgnoresItsOption", "test_every_option_has_an_effect", "'labels_team' changes neither a job nor"),
    ("NeverReadsAnOption", "test_every_option_is_read", "declared and never read: kit_cores"),
    ("ForgetsTheInstance", "test_run_that_was_made_again_does_its_work_again", "used the result of the old one"),
    ("ForgetsTheInstance", "test_what_goes_on_for_a_run_that_was_deleted_is_stopped", "took over the work"),
    ("ForgetsTheDigest", "test_other_work_under_the_same_name_is_refused", "DID NOT RAISE"),
    ("DropsEdge", "test_native_graph_is_the_neutral_graph[diamond]", "does not wait for"),
    ("DropsEdge", "test_native_graph_is_the_neutral_graph[group_to_group]", "does not wait for"),
    ("DropsEdge", "test_native_graph_is_the_neutral_graph[chain_of_1000]", "does not wait for"),
    ("DropsEdgeInGroup", "test_native_graph_is_the_neutral_graph[nested_groups]", "does not wait for"),
    ("AddsEdge", "test_native_graph_is_the_neutral_graph[diamond]", "which is not in the pipeline"),
    ("Flattens", "test_native_graph_is_the_neutral_graph[nested_groups]", "is in the group ''"),
    ("ForgetsChildren", "test_native_graph_is_the_neutral_graph[nested_groups]", "never called create_children"),
    ("RepeatsChildren", "test_native_graph_is_the_neutral_graph[chain]", "called create_children twice"),
    ("RepeatsChildrenQuietly", "test_create_children_is_called_once[group_to_group]", "called create_children twice"),
    ("LosesTask", "test_native_graph_is_the_neutral_graph[group_to_group]", "is missing"),
    ("MutatesOptions", "test_options_are_left_alone", "options of the orchestration were changed"),
    ("MutatesGraph", "test_rendering_is_pure[chain]", "changed the neutral graph"),
    ("Impure", "test_rendering_is_pure[chain]", "the native graphs differ"),
    ("IgnoresGate", "test_not_ready_skips_its_domain_only", "was loaded although its check was not ready"),
    ("IgnoresGate", "test_gates", None),
    ("CrashIsNotReady", "test_crashed_check_fails", None),
    ("CrashIsNotReady", "test_crashed_check_fails_in_a_process", None),
    ("NotReadyIsFailure", "test_not_ready_skips_its_domain_only", None),
    ("LostIsSuccess", "test_lost_attempt_is_a_failure", None),
    ("SplitsArguments", "test_arguments_arrive_unchanged", None),
    ("DropsVariables", "test_every_task_runs_once_and_in_order[chain]", "variables of 'first' changed"),
    ("RunsTwice", "test_every_task_runs_once_and_in_order[chain]", "not every job was started exactly once"),
    ("RunsTooEarly", "test_every_task_runs_once_and_in_order[diamond]", "was started before"),
    ("DoesNotWait", "test_every_task_runs_once_and_in_order[chain]", "was started before 'first' had ended"),
    ("EmitsSkipped", "test_not_ready_skips_its_domain_only", "datasets of tasks that did not run"),
    ("DoesNotWait", "test_every_task_runs_once_and_in_order[chain]", "was started before 'first' had ended"),
    ("EmitsSkipped", "test_nothing_ready_skips_the_end", "datasets of tasks that did not run"),
    ("SwallowsFailure", "test_failure_stops_what_depends_on_it", "a task failed, but the run is 'success'"),
    ("SwallowsFailure", "test_crashed_check_fails", "a task failed, but the run is 'success'"),
    ("FailureIsSuccess", "test_failure_stops_what_depends_on_it", "the run succeeded"),
    ("EndsGreenWithoutWork", "test_nothing_ready_skips_the_end", "nothing was loaded, but the end is 'success'"),
    ("SkipsWithoutReason", "test_not_ready_skips_its_domain_only", "without a reason"),
    ("OneAttemptKey", "test_retry_after_a_failure", None),
    ("OneAttemptKey", "test_wait_until_ready", None),
    ("TaskKeyForEveryAttempt", "test_retry_after_a_failure", "the task key is not the same"),
    ("OneKeyForEveryTask", "test_keys_of_two_tasks_differ", None),
    ("RetriesTooOften", "test_retries_are_counted", None),
    ("NeverRetries", "test_retry_after_a_failure", None),
    ("OutagesAreFinal", "test_outage_is_tried_again", None),
    ("RetriesRefusals", "test_refusal_is_final", None),
    ("ShortagesAreFinal", "test_shortage_is_tried_again", None),
    ("RetriesFaults", "test_fault_of_a_plugin_is_final[submission-error2]", None),
    ("IgnoresFinal", "test_command_that_will_not_pass_is_final[78]", "although its outcome was final"),
    ("RetriesNotReady", "test_not_ready_is_not_retried", "was retried like a failure"),
    ("ForgetsTimeOut", "test_time_out", "keeps running after its time-out"),
    ("ForgetsTearDown", "test_tear_down_always_runs[transform:kpi.work]", "did not run exactly once"),
    ("NeverWaits", "test_wait_until_ready", "ran 1 times, not 3 times"),
    ("WaitingInVainIsSkip", "test_wait_in_vain_fails", None),
    ("WrongInterval", "test_run_time_values", "sl_data_interval_start"),
    ("TellsSecret", "test_secrets_stay_secret[3]", "a secret is in the report"),
    ("MissingProgramIsSkip", "test_missing_program_fails_with_a_message", None),
    ("IgnoresSelection", "test_selection", "the tasks that ran are not the selected ones"),
    ("NeverTells", "test_listener_hears_how_every_task_ends", "the listener received other final states"),
    (
        "TellsAtTheEnd",
        "test_listener_hears_of_a_task_before_later_ones",
        "before the end of 'work', which runs earlier",
    ),
    ("MixesReport", "test_every_task_runs_once_and_in_order[chain]", "not in topological order"),
    ("DryRunRuns", "test_dry_run_starts_nothing", "a dry run started a job"),
    ("LosesReport", "test_ready", "does not name every task once"),
    ("GateOpensInDepth", "test_a_gate_closes_however_deep_its_tasks_are[NOT_READY]", "a task in four groups ran"),
    ("ForgetsRetryDelay", "test_retry_delay_is_waited_for", "before its retry delay was over"),
    ("ForgetsPokeInterval", "test_interval_of_a_waiting_check_is_waited_for", "before its interval was over"),
    ("ForgetsRootRun", "test_the_root_run_names_the_work", "the work is named"),
    ("ForgetsDeployment", "test_the_deployment_names_the_work", "two deployments is named"),
    ("ForgetsRunOptions", "test_variables_of_a_run_reach_its_commands", "variables of a run were dropped"),
    ("ForgetsRetryUnsafe", "test_retry_unsafe_reaches_the_job", None),
    ("InstanceOfEachTask", "test_keys_of_attempts_are_those_of_the_run", "say that they belong to two"),
    ("SaysItRepeats", "test_keys_of_attempts_are_those_of_the_run", "says that it is a repetition"),
    ("IgnoresSkip", "test_a_run_that_is_skipped_does_nothing", "started a job"),
    ("ForgetsGroup", "test_the_group_is_reported", None),
    ("DropsLines", "test_listener_hears_every_line", "the listener heard []"),
    ("RepeatsLines", "test_listener_hears_every_line", "the listener heard"),
    ("IgnoresInterrupt", "test_interrupt_stops_what_runs", "Ctrl-C cancels nothing"),
    ("StartsAfterInterrupt", "test_interrupt_stops_what_runs", "tasks were started after Ctrl-C"),
    ("LeavesTheCluster", "test_tear_down_runs_after_an_interrupt", "the tear-down ran 0 times, not once"),
    ("StartsTheHopeless", "test_a_run_that_cannot_succeed_starts_nothing", "cannot succeed started a job"),
    ("InterruptIsGreen", "test_interrupt_stops_what_runs", "is 'success'"),
    ("ResumesNothing", "test_resume_repeats_only_what_failed", None),
    ("ResumesAnything", "test_resume_is_never_a_new_run", "DID NOT RAISE"),
    ("PublishesNothing", "test_pipelines_are_published", "does not find kit_one, kit_three, kit_two"),
    ("PublishesTheLastOrchestration", "test_pipelines_are_published", "does not find kit_one, kit_two"),
    ("SchedulesNothing", "test_the_schedule_is_native[cron]", "cron is ''"),
    ("SchedulesInUtc", "test_the_schedule_is_native[zone]", "zone is 'UTC'"),
    ("StartsToday", "test_the_schedule_is_native[start_date]", "start_date is"),
    ("NeverCatchesUp", "test_the_schedule_is_native[catchup]", "catchup is False"),
    ("RunsManyAtOnce", "test_the_schedule_is_native[max_active_runs]", "max_active_runs is 16"),
    ("DropsTags", "test_the_schedule_is_native[tags]", "tags is ()"),
    ("DropsPools", "test_the_schedule_is_native[pools]", "pools is {}"),
    ("DropsRetries", "test_the_schedule_is_native[retries]", "retries is {}"),
    ("DropsRetryDelays", "test_the_schedule_is_native[retry_delays]", "retry_delays is {}"),
    ("DropsKeywords", "test_keywords_of_the_orchestrator_reach_it", "does not reach the native task"),
    (
        "FiresBySunTime",
        "test_the_schedule_follows_the_scheduler_where_the_clock_changes[30 2 * * *]",
        "at 2026-03-30T01:30:00+00:00 for the scheduler, and at 2026-03-30T00:30:00+00:00 for the pipeline; sl_fires says",
    ),
    (
        "TellsOfOtherFires",
        "test_the_schedule_follows_the_scheduler_where_the_clock_changes[20 */2 * * *]",
        "sl_fires says what the scheduler does",
    ),
    ("RunsForNow", "test_a_scheduled_run_has_the_interval_of_its_schedule", None),
    ("RunsInUtc", "test_a_scheduled_run_has_the_interval_of_its_schedule", None),
    ("ScheduledFailureIsGreen", "test_a_scheduled_run_that_fails_is_red", "is green for the scheduler"),
    ("ScheduledFailureEmits", "test_a_scheduled_run_that_fails_is_red", "events of successful tasks"),
    ("ScheduledRunEmitsNothing", "test_a_scheduled_run_that_succeeds_emits_its_events", None),
    ("ScheduledRunIsRedWhenSkipped", "test_a_scheduled_run_skips_what_is_not_ready", "is a failure for the scheduler"),
    ("NamesEveryRunAlike", "test_two_scheduled_runs_are_two_pieces_of_work", "share a key"),
    ("ForgetsTheRepetition", "test_a_repeated_task_is_new_work", "is named"),
    ("RepeatsNumbersAndWork", "test_a_repeated_task_is_new_work", "the repetition was never submitted"),
    # The assertion has no message: its values are shown, although the kit is a library.
    ("NeverTriesAgain", "test_a_scheduled_run_tries_again", "where False = NativeRun(run_id="),
    ("RunsOneAtATime", "test_tasks_run_at_once", "waits until another one has ended"),
    ("IgnoresParallelism", "test_parallelism_is_a_limit", "two tasks ran at once"),
    ("IgnoresTriggered", "test_a_triggered_run_waits_for_its_data[False]", "its datasets have no events"),
    ("RunsWhatIsTriggered", "test_a_triggered_run_waits_for_its_data[False]", "DID NOT RAISE"),
    ("IgnoresDate", "test_a_run_by_hand_needs_no_data", None),
    ("ForgetsTheSetUp", "test_every_job_is_reached[tear_down]", "misses create_cluster, delete_cluster"),
    ("ForgetsTheTearDown", "test_every_job_is_reached[tear_down]", "misses delete_cluster"),
    ("AddsAnArgument", "test_arguments_and_variables_are_kept[chain]", "the arguments of 'first' changed"),
    ("DropsEnv", "test_arguments_and_variables_are_kept[chain]", "variables of 'first' were lost"),
    ("CountsItsJobs", "test_jobs_are_pure[chain]", "built twice"),
    ("HasTuples", "test_jobs_survive_json[chain]", "does not survive JSON"),
    ("ShowsSecrets", "test_secrets_are_masked", "shows a secret"),
    ("ChecksNothing", "test_arguments_and_variables_are_kept[two_domains]", "check_sales_incoming_files' changed"),
    ("WritesVariables", "test_options_are_left_alone", "were changed"),
    ("FailureIsGreen", "test_ends_stay_as_they_are[FAILED]", "ends otherwise"),
    ("NotReadyIsRed", "test_ends_stay_as_they_are[NOT_READY]", "ends otherwise"),
    ("CreatesTasksTwice", "test_the_graph_stays_as_it_is[nested_groups]", None),
    ("DropsEdges", "test_the_graph_stays_as_it_is[diamond]", "does not wait for"),
    ("ForgetsItsName", "test_a_worker_knows_where_a_job_runs", "does not name 'labels'"),
    ("SplitsJob", "test_arguments_are_those_of_the_command[spaces]", "not those of the command"),
    ("QuotesJob", "test_arguments_are_those_of_the_command[single_quotes]", "not those of the command"),
    ("WritesIntoOptions", "test_command_and_options_are_left_alone[load]", "the options were changed"),
    ("NewJobEveryTime", "test_jobs_are_pure[chain]", "the jobs of 'first' differ"),
    ("CountsJobs", "test_command_and_options_are_left_alone[load]", "gave two different jobs"),
    ("NoJson", "test_jobs_survive_json[chain]", "does not survive JSON"),
    ("WrongName", "test_jobs_name_their_environment[chain]", "names the environment 'faked'"),
    ("NoVariables", "test_variables_are_in_the_job", "variables of sl_env_var are missing"),
    ("CrashedCheckIsNotReady", "test_check[CRASHES-FAILED]", "is not failed, but not ready"),
    ("NotReadyIsSuccess", "test_check[NOT_READY-NOT_READY]", "is not not ready, but succeeded"),
    ("NotReadyIsCrash", "test_check[NOT_READY-NOT_READY]", "is not not ready, but failed"),
    (
        "OneRunForEveryAttempt",
        "test_older_success_is_not_the_result_of_a_new_attempt",
        "used the result of an older one",
    ),
    ("OneRunForEveryAttempt", "test_older_failure_is_not_the_result_of_a_new_attempt", "ended as an older one had"),
    ("OlderAttemptIsItsOwn", "test_older_failure_is_not_the_result_of_a_new_attempt", "ended as an older one had"),
    ("NewRunForTheSameKey", "test_submit_is_idempotent", "the same key twice"),
    ("NewRunForTheSameKey", "test_submit_is_idempotent_across_threads", "one key in several threads"),
    ("FindsNothing", "test_find", None),
    ("FindsNothing", "test_live_older_attempt_is_adopted", "the task now runs twice"),
    ("FindsOtherTasks", "test_find", None),
    ("PollsOne", "test_poll_answers_for_many_handles", None),
    ("UnknownGoesOn", "test_unknown_handle_is_lost", "an unknown handle is still running"),
    ("UnknownRaises", "test_unknown_handle_is_lost", "KeyError"),
    ("RefusesAll", "test_unknown_handle_is_lost", "the error of one handle is raised for all"),
    (
        "StoppingGoesOn",
        "test_attempt_that_is_being_stopped_is_not_taken_over",
        "is being stopped is reported as running",
    ),
    ("FindsStoppingAsGoing", "test_attempt_that_is_being_stopped_is_not_taken_over", "was taken over"),
    ("ClaimsToBeKeyed", "test_a_failed_load_is_never_green_and_empty", "its rows are not there"),
    ("LoadsBlindly", "test_a_failed_load_is_never_green_and_empty", "its rows are not there"),
    ("LoadsBlindly", "test_a_load_whose_end_nobody_knows_is_not_repeated", None),
    ("CancelOverwrites", "test_cancel_after_the_end_changes_nothing[SUCCEEDS-SUCCEEDED]", None),
    ("CancelledIsFailed", "test_cancel", None),
    ("CancelTwiceRaises", "test_cancel", "409 already cancelled"),
    ("RepeatsLogs", "test_logs_go_on_at_the_cursor", None),
    ("TellsSecrets", "test_logs_hide_secrets", "the output shows a secret"),
    ("PassesNoVariables", "test_variables_arrive_unchanged", "variables do not arrive"),
    ("PassesNoKey", "test_the_attempt_arrives", "SL_RUN_TASK is None"),
    ("ForgetsTheGeneration", "test_the_attempt_arrives", "SL_RUN_KEY is"),
    ("ForgetsTheRunOfItsJobs", "test_the_attempt_arrives", "SL_RUN_INSTANCE is None"),
    ("ExpandsArguments", "test_arguments_arrive_unchanged", "references: "),
    ("TellsNoEnds", "test_ends_are_told", "plugins heard of the ends of 'again': []"),
    ("TellsEndsTwice", "test_ends_are_told", "plugins heard of the ends of 'again'"),
    ("ExpandsVariables", "test_variables_arrive_unchanged", "KIT_REFERENCES: "),
    ("ExpandsDollars", "test_arguments_arrive_unchanged", "shell: "),
    ("SplitsAtSpaces", "test_arguments_arrive_unchanged", "spaces: "),
    ("DropsEmptyArguments", "test_arguments_arrive_unchanged", "empty: "),
    ("DropsEmptyVariables", "test_variables_arrive_unchanged", "KIT_EMPTY"),
    ("StripsNewlines", "test_arguments_arrive_unchanged", "newlines: "),
    ("KnowsAsciiOnly", "test_variables_arrive_unchanged", "KIT_UNICODE: "),
    ("ReadsAscii", "test_output_arrives_unchanged", "not read as it was written"),
    ("StripsOutput", "test_output_arrives_unchanged", "not read as it was written"),
    ("CutsLines", "test_output_arrives_unchanged", "not read as it was written"),
    ("KeepsHandlesInItsProcess", "test_another_process_polls_reads_and_cancels", "does not see that the attempt"),
    ("FindsItsOwnOnly", "test_a_worker_that_dies_loses_no_attempt", "does not find the attempt"),
    ("CancelsItsOwnOnly", "test_another_process_polls_reads_and_cancels", "does not end"),
    ("ReadsItsOwnOnly", "test_another_process_polls_reads_and_cancels", "another process reads the output"),
    ("RemembersSecretsInItsProcess", "test_another_process_hides_secrets", "another process shows a secret"),
    ("NeedsASecretOfItsSpec", "test_another_process_hides_secrets", "wrong secret"),
    ("LosesAttributes", "test_runners_stay_what_they_are", "has detached = False, not True"),
    ("LosesTheTail", "test_runners_stay_what_they_are", "tail() of the runner"),
    ("LosesAttempts", "test_runners_stay_what_they_are", "find() no longer finds"),
    ("LosesOutput", "test_runners_stay_what_they_are", "logs() of the runner"),
    ("CancelsNothing", "test_runners_stay_what_they_are", "cancel of the runner"),
    ("KnowsItsMarkersOnly", "test_another_process_sees_the_same_end", "not ready is succeeded"),
    ("SubmitsTwice", "test_two_submitters_at_once_start_one_run", "got two handles"),
    ("SubmitsTwice", "test_two_runners_at_once_start_one_run", "got two handles"),
    ("OutageIsAnyError", "test_an_outage_is_an_outage[submit]", "ValueError"),
    ("OutageIsFinal", "test_an_outage_is_an_outage[submit]", "RunnerError"),
    ("RefusalIsOutage", "test_a_refusal_is_final[submit]", "OutageError"),
    ("RefusalIsRaw", "test_a_refusal_is_final[find]", "HTTPError"),
    ("RefusalSaysNothing", "test_a_refusal_is_final[submit]", "does not say what to do"),
    ("FindsNothingWhenRefused", "test_a_refusal_is_final[find]", "DID NOT RAISE"),
    ("FindsNothingInAnOutage", "test_an_outage_is_an_outage[find]", "DID NOT RAISE"),
    ("PollRaises", "test_a_poll_that_fails_is_no_end[OUTAGE]", "OutageError"),
    ("OutageIsAnEnd", "test_a_poll_that_fails_is_no_end[OUTAGE]", "ended an attempt"),
    ("RefusalIsLost", "test_a_poll_that_fails_is_no_end[REFUSAL]", "ended an attempt"),
    ("ThrottlingIsRefusal", "test_throttling_is_waited_for", "too many requests"),
    ("SleepsInAnOutage", "test_an_outage_is_an_outage[submit]", "the check takes more than"),
    ("LostReplyStartsAnother", "test_a_lost_reply_starts_nothing_twice", "started 2 runs"),
    ("StoppingIsRunning", "test_an_attempt_that_stops_slowly_is_waited_for", "is reported as running"),
    ("StoppingIsOver", "test_an_attempt_that_stops_slowly_is_waited_for", "and its process has not"),
    ("ForgetsToCancel", "test_cancel_in_an_outage_is_not_forgotten", "does not end"),
    ("WaitsForOutput", "test_output_that_cannot_be_read_changes_nothing", "the check takes more than"),
    ("NeverCancels", "test_cancel", "does not end; its output: going on"),
    ("SignalsItsChildOnly", "test_cancel_ends_children_too", "does not end"),
    ("DisturbsNothing", "test_throttling_is_waited_for", "no call has met the fault THROTTLING"),
    ("DisturbsNothing", "test_a_lost_reply_starts_nothing_twice", "no call has met the fault LOST_REPLY"),
    ("DisturbsNothing", "test_an_attempt_that_stops_slowly_is_waited_for", "no call has met the fault SLOW_STOP"),
    ("DisturbsNothing", "test_a_poll_that_fails_is_no_end[OUTAGE]", "no call has met the fault OUTAGE"),
    ("DisturbsNothing", "test_an_outage_is_an_outage[find]", "DID NOT RAISE"),
    ("DisturbsNothing", "test_cancel_in_an_outage_is_not_forgotten", "no call has met the fault OUTAGE"),
    ("DisturbsNothing", "test_output_that_cannot_be_read_changes_nothing", "no call has met the fault OUTAGE"),
    ("NeverStarts", "test_cancel", "because the attempt has ended: failed with exit code 3"),
    (
        "NeverStarts",
        "test_success",
        "not succeeded, but failed with exit code 3 (exit code 3); its output: cannot start",
    ),
    ("SaysCancelled", "test_cancel", "has ended"),
    ("FindsNewestFirst", "test_find", None),
    ("ForgetsEndedAttempts", "test_find", None),
    ("IsDetachedInSecret", "test_levels_are_those_of_the_runner", "detached = False"),
    ("LosesTheExitCode", "test_failure[FAILS]", None),
    ("ImportsSdk", "test_building_imports_no_sdk_and_is_the_same_everywhere", "building a pipeline imports pluggy"),
    (
        "ForbidsWhatIsNotInstalled",
        "test_building_imports_no_sdk_and_is_the_same_everywhere",
        "so the test proves nothing",
    ),
]


def _mutants() -> list[tuple[str, str, str | None]]:
    """The first mutant of each check is played after each commit, all of them in the matrix."""
    first: dict[str, tuple[str, str, str | None]] = {}
    for mutant in BROKEN:
        first.setdefault(mutant[1].partition("[")[0], mutant)
    return list(BROKEN) if ON_EVERY_VERSION else list(first.values())


class _Reports:
    """A plugin of pytest that keeps what it reports about the calls of tests."""

    def __init__(self) -> None:
        self.calls: dict[str, pytest.TestReport] = {}
        self.others: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.calls[report.nodeid.partition("::")[2]] = report
        elif not report.passed:
            self.others.append(f"{report.nodeid}: {report.when} {report.outcome}: {report.longreprtext}")


def _said(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return "\n".join((report.longreprtext, getattr(crash, "message", ""), *(text for _, text in report.sections)))


# Several in one session, which takes as long to start as most of them to be caught.
@pytest.mark.parametrize("batch", range(_BATCHES))
def test_broken_plugins_are_caught(
    batch: int,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    pytester.syspathinsert(Path(__file__).parent)
    monkeypatch.setenv("STARLAKE_KIT_PATIENCE", "0.2")  # what hangs is given up on soon
    mutants = dict.fromkeys(_mutants()[batch::_BATCHES])
    classes = "\n".join(f"Test_{name} = suite({name!r})" for name in dict.fromkeys(name for name, _, _ in mutants))
    file = pytester.makepyfile(
        f'from kit_broken import suite\n\npytest_plugins = ["starlake_core.testing.plugin"]\n{classes}\n'
    )
    reports = _Reports()
    ids = [f"{file}::Test_{name}::{check}" for name, check, _ in mutants]
    pytester.inline_run("-p", "no:cacheprovider", "-p", "no:logging", "-q", *ids, plugins=[reports])
    assert not reports.others, "\n".join(reports.others)
    wrong, table = [], []
    for name, check, words in mutants:
        report = reports.calls.get(f"Test_{name}::{check}")
        if report is None or not report.failed:
            wrong.append(
                f"{name} survives {check}" if report else f"{check} is not there, or was not played for {name}"
            )
            continue
        table.append(f"{name} | {check} | {report.duration:.1f} s")
        if words is not None and words not in _said(report):
            wrong.append(f"{check} fails for {name}, but does not say: {words}\n{_said(report)}")
    assert not wrong, "\n".join(wrong)
    if ON_EVERY_VERSION:
        record_property("summary", "\n".join(table))


def test_checks_are_selected_by_their_level(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(Path(__file__).parent)
    pytester.makepyfile(
        """
        from kit_reference import ReferenceSuite

        pytest_plugins = ["starlake_core.testing.plugin"]

        class TestReference(ReferenceSuite):
            pass
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-q", "--collect-only", "-k", "resumable")
    wanted = {check.name for check in checks_of(OrchestratorSuite) if check.level == "resumable"}
    assert {line.rpartition("::")[2] for line in result.outlines if "::" in line} == wanted


KEPT = {"Labels", "LabelsOptions", "LabelsSuite"}
BASES = {
    "_MoreOptions",
    "_OldOptions",
    "_OneProcessService",
    "_Runner",
    "_Local",
    "_ChangesRun",
    "_ChangesSettings",
    "_ChangesScheduledRun",
}


def test_every_broken_plugin_is_listed() -> None:
    import kit_addons
    import kit_service_broken

    defined = {
        name
        for module in (kit_addons, kit_service_broken)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and name not in KEPT and name[0] != "_"
    } | {
        name[1:]
        for name, value in vars(kit_broken).items()
        if isinstance(value, type) and name.startswith("_") and name not in BASES
    }
    assert defined == {name for name, _, _ in BROKEN}


def test_importing_the_kit_imports_no_pytest() -> None:
    code = "import sys, starlake_core.testing as t; t.validate_arguments; print('pytest' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_every_public_name_of_the_kit_exists() -> None:
    import starlake_core.testing as kit

    assert all(getattr(kit, name) is not None for name in kit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = kit.Nonsense


# -- the corpus


def _drawn(name: str) -> NativeGraph:
    graph = CORPUS[name]
    with Orchestration(
        graph.options,
        orchestrator=RecordingOrchestrator(),
        environment=FakeEnvironment(),
        filename="",
        namespace={},
    ) as orchestration:
        pipeline = graph(orchestration)
    assert describe_records(pipeline.native).group_paths() == neutral_graph(pipeline).group_paths()
    return neutral_graph(pipeline)


def test_an_edge_between_groups_orders_all_tasks_in_them() -> None:
    befores = tasks_before(_drawn("group_to_group"))
    assert sorted(befores["middle.d"]) == ["left.a", "left.b", "middle.c"]
    assert sorted(befores["right.deep.f"]) == ["left.a", "left.b", "middle.c", "middle.d", "middle.e"]


def test_an_empty_group_is_bridged() -> None:
    graph = _drawn("empty_group")
    assert tasks_before(graph) == {"first": [], "half.x": ["first"], "half.y": ["first", "half.x"], "last": ["first"]}
    assert graph.group_paths() == {"half"}


def test_names_are_sanitised() -> None:
    assert [task.path for task in _drawn("odd_ids").tasks] == [
        "1_first",
        "gr__e__net__S.kpi_net_revenue",
        "gr__e__net__S.kpi_gross_revenue",
        "tail-end_",
    ]


def test_lineage_is_drawn_upstream_first() -> None:
    befores = tasks_before(_drawn("lineage"))
    assert sorted(befores["kpi_revenue"]) == ["sales_customers", "sales_orders", "start"]
    assert len(befores["end"]) == len(befores) - 1


def test_large_graphs_are_large() -> None:
    assert len(_drawn("wide_200").tasks) == 202
    assert len(tasks_before(_drawn("chain_of_1000"))["t0999"]) == 1000


def test_a_helper_is_no_task_and_a_cycle_is_named() -> None:
    expected = NativeGraph((NativeTask("a"), NativeTask("b")), (("a", "b"),))
    helped = NativeGraph((NativeTask("a"), NativeTask("b")), (("a", "helper"), ("helper", "b")))
    assert differences(expected, helped, nested_groups=True) == []
    twice = NativeGraph((NativeTask("a"), NativeTask("b"), NativeTask("b")), (("a", "b"),))
    assert differences(expected, twice, nested_groups=True) == ["task 'b' is there 2 times"]
    cycle = NativeGraph(expected.tasks, (("a", "b"), ("b", "a")))
    with pytest.raises(AssertionError, match="a, b wait for each other"):
        differences(expected, cycle, nested_groups=False)


# -- the fakes


def test_fake_environment_ends_attempts_as_scripted() -> None:
    fake_environment = FakeEnvironment()
    job = Job("fake", ("load", "--domains", "sales", "--tables", "orders"))
    fake_environment.script("load:sales.orders", Verdict.FAILED, Verdict.SUCCEEDED)
    fake_environment.delay("load:sales.orders", 2)
    runner = fake_environment.sl_create_runner(job)
    ends = []
    for attempt in ("1", "2", "3"):
        handle = runner.submit(job, RunKey("p/r/t", attempt))
        looks = [runner.poll([handle])[handle] for _ in range(3)]
        assert [look.ended for look in looks] == [False, False, True]
        assert looks[-1].outcome is not None
        ends.append(looks[-1].outcome.verdict)
    assert ends == [Verdict.FAILED, Verdict.SUCCEEDED, Verdict.SUCCEEDED]
    assert [submission.key.attempt for submission in fake_environment.started("load:sales.orders")] == ["1", "2", "3"]


def _call(stand_in: StandIn, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(stand_in.path), *arguments], capture_output=True, text=True, check=False)


def test_stand_in_refuses_what_starlake_refuses(stand_in: StandIn) -> None:
    done = _call(stand_in, "load", "--domain", "sales")
    assert done.returncode == 1
    assert "Unknown option --domain" in done.stderr
    assert stand_in.calls()[0].arguments == ("load", "--domain", "sales")


def test_stand_in_follows_its_scenario(stand_in: StandIn, tmp_path: Path) -> None:
    load = ("load", "--domains", "sales", "--tables", "orders")
    stand_in.script("load:sales.orders", Step(exit_code=7, lines=("no",)), Step(lines=("yes",)))
    assert [(done.returncode, done.stdout) for done in (_call(stand_in, *load) for _ in range(3))] == [
        (7, "no\n"),
        (0, "yes\n"),
        (0, "yes\n"),
    ]
    check = ("preload", "--domain", "sales", "--strategy", "imported")
    stand_in.script("preload:sales", Step(not_ready=True))
    assert _call(stand_in, *check).returncode == 1
    marker = tmp_path / "not ready"
    assert _call(stand_in, *check, "--notReadySentinel", str(marker)).returncode == 0
    assert marker.exists()
    assert len(stand_in.calls("preload:sales")) == 2


def test_strict_contract_is_part_of_the_kit() -> None:
    validate_arguments(["load", "--domains", "sales"])
    with pytest.raises(ContractError, match="Unknown option --domain"):
        validate_arguments(["load", "--domain", "sales"])


# -- two orchestrators


@pytest.mark.parametrize("seed", range(60))
def test_local_and_reference_agree_on_random_graphs(seed: int, tmp_path: Path) -> None:
    """Groups, gates, triggers and ends at random: the scheduler of ``local`` and the plain engine of the reference come to the same."""
    found = []
    for orchestrator in ("local", ReferenceOrchestrator()):
        pipeline, report = random_run(seed, orchestrator, tmp_path)
        assert all(
            task.reason
            for task in report.tasks
            if task.state in (TaskState.SKIPPED, TaskState.FAILED, TaskState.UPSTREAM_FAILED)
        )
        states = {task.id: task.state for task in report.tasks}
        assert sorted(states) == sorted(task.path for task in pipeline.tasks())
        found.append((states, report.state, sorted(report.datasets)))
    assert found[0] == found[1]


# -- the documentation


def test_every_field_of_a_run_has_its_check() -> None:
    fields = {f"{kind.__name__}.{field.name}" for kind in (Run, RunRequest) for field in dataclasses.fields(kind)}
    assert set(FIELDS) == fields
    assert set(FIELDS.values()) <= {check.name for check in checks_of(OrchestratorSuite)}


def test_every_check_names_its_promise_and_every_promise_its_check() -> None:
    page = Path(__file__).parent.parent / "docs" / "reference" / "promises.md"
    check_promises(page, SUITES)
    assert [
        (name, check.name) for name, suite in SUITES.items() for check in checks_of(suite) if not check.promise
    ] == []


@pytest.mark.parametrize("plugin", ["shell", "local"])
def test_examples_of_the_documentation_are_the_tests_of_our_plugins(plugin: str) -> None:
    root = Path(__file__).parent.parent
    text = (root / "docs" / "how-to" / "test-a-plugin.md").read_text(encoding="utf-8")
    test = (root / "plugins" / plugin / "tests" / f"test_{plugin}_conformance.py").read_text(encoding="utf-8")
    suite = test[test.index("\nclass Test") :].partition("\n    @pytest.mark.xfail")[0].strip()
    assert f"```python\n{suite}\n```" in text
