"""Names that users may try as options, and where they belong."""

from __future__ import annotations

__all__ = ["ELSEWHERE"]


def _cluster(what: str, document: str) -> str:
    return f"{what} part of the configuration of a new cluster; write: 'dataproc_cluster_config': {document}"


def _batch(what: str, document: str) -> str:
    return f"{what} part of a batch (dataproc_serverless); write: 'dataproc_batch_config': {document}"


_KEY = "projects/P/locations/R/keyRings/RING/cryptoKeys/KEY"

_SENTENCES: dict[str, str] = {
    "autoscaling_policy autoscaling_policy_uri autoscaling_config autoscaling": _cluster(
        "An autoscaling policy is",
        '{"autoscalingConfig": {"policyUri": "projects/P/regions/R/autoscalingPolicies/NAME"}}',
    ),
    "initialization_actions initialization_action init_actions init_action init_actions_uris": _cluster(
        "Initialization actions are",
        '{"initializationActions": [{"executableFile": "gs://BUCKET/install.sh", "executionTimeout": "600s"}]}',
    ),
    "metastore metastore_service metastore_config metastore_uri": (
        _cluster(
            "A metastore is",
            '{"metastoreConfig": {"dataprocMetastoreService": "projects/P/locations/R/services/NAME"}}',
        )
        + ", or for batches: "
        '\'dataproc_batch_config\': {"environmentConfig": {"peripheralsConfig": {"metastoreService": "projects/P/locations/R/services/NAME"}}}'
    ),
    "history_server history_server_cluster spark_history_server phs phs_cluster": (
        _batch(
            "A history server is",
            '{"environmentConfig": {"peripheralsConfig": {"sparkHistoryServerConfig": {"dataprocCluster": "projects/P/regions/R/clusters/NAME"}}}}',
        )
        + ", or for clusters, whose events it reads: "
        '\'dataproc_cluster_config\': {"softwareConfig": {"properties": {"spark:spark.eventLog.dir": "gs://BUCKET/events"}}}'
    ),
    "optional_components optional_component components": _cluster(
        "Optional components are", '{"softwareConfig": {"optionalComponents": ["JUPYTER", "ICEBERG"]}}'
    ),
    "component_gateway enable_component_gateway enable_http_port_access endpoint_config": _cluster(
        "The component gateway is", '{"endpointConfig": {"enableHttpPortAccess": true}}'
    ),
    "kms_key kms_key_name gce_pd_kms_key gce_pd_kms_key_name cmek encryption encryption_config": (
        _cluster("An encryption key is", f'{{"encryptionConfig": {{"gcePdKmsKeyName": "{_KEY}"}}}}')
        + f', or for batches: \'dataproc_batch_config\': {{"environmentConfig": {{"executionConfig": {{"kmsKey": "{_KEY}"}}}}}}'
    ),
    "max_age auto_delete_ttl delete_max_age": _cluster(
        "The age at which a cluster is deleted is", '{"lifecycleConfig": {"autoDeleteTtl": "28800s"}}'
    ),
    "expiration_time auto_delete_time delete_expiration_time": _cluster(
        "The time at which a cluster is deleted is", '{"lifecycleConfig": {"autoDeleteTime": "2030-01-01T00:00:00Z"}}'
    ),
    "stop_max_idle idle_stop_ttl": _cluster(
        "The idle time after which a cluster is stopped is", '{"lifecycleConfig": {"idleStopTtl": "3600s"}}'
    ),
    "kerberos kerberos_config security_config enable_kerberos": _cluster(
        "Kerberos is", '{"securityConfig": {"kerberosConfig": {"enableKerberos": true}}}'
    ),
    "custom_image image image_uri image_url": _cluster(
        "A custom image is",
        '{"masterConfig": {"imageUri": "projects/P/global/images/NAME"}, "workerConfig": {"imageUri": "projects/P/global/images/NAME"}}',
    ),
    "network network_uri": (
        _cluster("A network is", '{"gceClusterConfig": {"networkUri": "NAME"}}')
        + ", or name one of its subnets: 'dataproc_subnet': 'NAME'"
    ),
    "scopes service_account_scopes": _cluster(
        "Scopes are",
        '{"gceClusterConfig": {"serviceAccountScopes": ["https://www.googleapis.com/auth/cloud-platform"]}}',
    ),
    "accelerators gpu gpus master_accelerator worker_accelerator": _cluster(
        "Accelerators are",
        '{"workerConfig": {"accelerators": [{"acceleratorTypeUri": "nvidia-tesla-t4", "acceleratorCount": 1}]}}',
    ),
    "local_ssds num_local_ssds worker_local_ssds num_worker_local_ssds num_master_local_ssds": _cluster(
        "Local disks are", '{"workerConfig": {"diskConfig": {"numLocalSsds": 2}}}'
    ),
    "num_masters master_num_instances master_num_nodes high_availability": _cluster(
        "The number of masters is", '{"masterConfig": {"numInstances": 3}}'
    ),
    "min_cpu_platform master_min_cpu_platform worker_min_cpu_platform": _cluster(
        "The minimum CPU platform is", '{"workerConfig": {"minCpuPlatform": "Intel Ice Lake"}}'
    ),
    "shielded_vm shielded_secure_boot shielded_instance_config": _cluster(
        "Shielded machines are", '{"gceClusterConfig": {"shieldedInstanceConfig": {"enableSecureBoot": true}}}'
    ),
    "confidential_compute": _cluster(
        "Confidential computing is",
        '{"gceClusterConfig": {"confidentialInstanceConfig": {"enableConfidentialCompute": true}}}',
    ),
    "reservation reservation_affinity": _cluster(
        "A reservation is",
        '{"gceClusterConfig": {"reservationAffinity": {"consumeReservationType": "SPECIFIC_RESERVATION", '
        '"key": "compute.googleapis.com/reservation-name", "values": ["NAME"]}}}',
    ),
    "secondary_machine_type secondary_worker_machine_type secondary_worker_machine_types instance_flexibility_policy": _cluster(
        "Secondary workers have the machine type of the workers (dataproc_worker_machine_type); other types are",
        '{"secondaryWorkerConfig": {"instanceFlexibilityPolicy": {"instanceSelectionList": [{"machineTypes": ["n2-standard-4"]}]}}}',
    ),
    "metric_sources metrics metric_config dataproc_metric_config": _cluster(
        "Metrics are", '{"dataprocMetricConfig": {"metrics": [{"metricSource": "SPARK"}]}}'
    ),
    "tier cluster_tier": _cluster("The tier is", '{"clusterTier": "CLUSTER_TIER_PREMIUM"}'),
    "container_image batch_container_image serverless_container_image": _batch(
        "A container image is", '{"runtimeConfig": {"containerImage": "R-docker.pkg.dev/P/REPOSITORY/IMAGE:TAG"}}'
    ),
    "peripherals_config": _batch(
        "Metastore and history server are",
        '{"environmentConfig": {"peripheralsConfig": {"metastoreService": "projects/P/locations/R/services/NAME"}}}',
    ),
    "cohort autotuning autotuning_config autotuning_scenarios": _batch(
        "Autotuning is",
        '{"runtimeConfig": {"cohort": "NAME", "autotuningConfig": {"scenarios": ["SCALING", "MEMORY"]}}}',
    ),
    "repository_config pypi_repository": _batch(
        "A package repository is",
        '{"runtimeConfig": {"repositoryConfig": {"pypiRepositoryConfig": {"pypiRepository": "https://R-python.pkg.dev/P/NAME"}}}}',
    ),
    "user_workload_authentication_type authentication_config": _batch(
        "The authentication of a batch is",
        '{"environmentConfig": {"executionConfig": {"authenticationConfig": {"userWorkloadAuthenticationType": "SERVICE_ACCOUNT"}}}}',
    ),
    "resource_manager_tags": (
        _cluster(
            "Resource manager tags are",
            '{"gceClusterConfig": {"resourceManagerTags": {"tagKeys/1": "tagValues/2"}}}',
        )
        + "; for network tags, write: 'dataproc_tags': 'NAME'"
    ),
    "runtime_version serverless_runtime_version batch_version version": (
        "The runtime of a batch is the option dataproc_serverless_version; write: 'dataproc_serverless_version': '2.2'. For the image "
        "of a cluster, set dataproc_image_version"
    ),
    "ttl batch_ttl job_timeout timeout": (
        "A job or batch is cancelled after dataproc_job_wait_timeout; write: 'dataproc_job_wait_timeout': '2h'"
    ),
    "compute_tier disk_tier driver_compute_tier": (
        'The tier of a batch is a Spark property; write: \'spark_properties\': {"spark.dataproc.driver.compute.tier": "premium", '
        '"spark.dataproc.executor.compute.tier": "premium"}'
    ),
    "properties job_properties spark_properties batch_properties": (
        'Properties of jobs and batches are the option spark_properties; write: \'spark_properties\': {"spark.sql.shuffle.partitions": "64"}. '
        "For those of a cluster, set dataproc_cluster_properties"
    ),
    "gke gke_cluster gke_cluster_config virtual_cluster_config kubernetes": (
        "The plugin does not create a cluster on GKE, but jobs run on an existing one; create it with: gcloud dataproc clusters gke create NAME, "
        "and write: 'dataproc_cluster': 'NAME'"
    ),
    "cluster_name existing_cluster": (
        "An existing cluster is the option dataproc_cluster; write: 'dataproc_cluster': 'NAME'. The first part of the name of a new one is "
        "dataproc_name"
    ),
    "jars jar_list jar_file_uris": "The jars are the option spark_jar_list; write: 'spark_jar_list': 'gs://BUCKET/starlake.jar'",
    "main_class": "The main class is the option spark_job_main_class; write: 'spark_job_main_class': 'ai.starlake.job.Main'",
    "bucket staging_bucket": (
        "The staging bucket of Dataproc is the option dataproc_config_bucket; write: 'dataproc_config_bucket': 'NAME'. The bucket of Spark is "
        "spark_bucket"
    ),
    "job_id batch_id job_name": (
        "The id of a job cannot be set: it is derived from the pipeline, the task and the attempt, so that none runs twice. To find your jobs, "
        'write: \'dataproc_labels\': {"team": "sales"}'
    ),
    "async": "Waiting never blocks a worker, so there is nothing to switch; remove the option",
}

ELSEWHERE = {
    f"dataproc_{name.removeprefix('dataproc_')}": sentence
    for names, sentence in _SENTENCES.items()
    for name in names.split()
}
"""Maps names that are not options to where their subject belongs."""
