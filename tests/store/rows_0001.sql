-- Rows as the first layout stores them, with keys in their JSON that only a newer version knows.
INSERT INTO unit (id, watch, layout, identity, run, unit, unit_version, replaces, path, run_path, fingerprint, stage, status,
    version, attempt, code, reason, hint, due_at, obstacle, tries, stage_since, more, seen_at)
VALUES ('k7m2x9', 'miseq', 'bclconvert', '240612_M00001_0001_A', '240612_M00001_0001_A', '.', 1, '', '/data/240612_A', '', '',
    'finish', 'waiting', 7, 5, 'waiting', 'Waits for its batches.', '', NULL, '', 0, '2026-06-12 20:15:00.250000',
    '{"left_by_newer": {"deep": [1, null]}}', '2026-06-12 20:15:00.250000');
INSERT INTO batch (id, unit_id, number, revision, rule, plan, priority, stage, status, version, attempt, code, reason, hint,
    due_at, obstacle, tries, stage_since, more, created_at)
VALUES ('k7m2x9-1', 'k7m2x9', 1, 1, 'amplicon',
    '{"rule": "amplicon", "watch": "miseq", "galaxy": "galaxy", "run": "240612_A", "unit": ".", "path": "/data/240612_A",
      "cloud": {"bucket": "b"},
      "samples": [{"name": "S1", "files": [{"path": "Data/S1_R1_001.fastq.gz", "read": "R1", "size": 10, "umi": true}]}],
      "datasets": [{"key": "001", "name": "S1_R1_001.fastq.gz", "ext": "fastqsanger.gz",
        "sources": ["Data/S1_R1_001.fastq.gz"], "size": 10, "sample": "S1"}]}',
    0, 'upload', 'ready', 3, 2, '', '', '', '2026-06-12 20:15:00.250000', '', 0, NULL, '{"newer": "kept"}', NULL);
INSERT INTO dataset (batch_id, "key", name, ext, size, status, session, "offset", sha256, records, sent_at, fetch_intent_at,
    fetch_receipt_at, galaxy_id, job_id, checked, reason)
VALUES ('k7m2x9-1', '001', 'S1_R1_001.fastq.gz', 'fastqsanger.gz', 10, 'working', 's', 8589934592, '', NULL, NULL, NULL, NULL,
    '', '', '', '');
INSERT INTO delivered_file (batch_id, delivery_key, path, galaxy_id, size, sha256, status, intent_at, receipt_at)
VALUES ('k7m2x9-1', '1', 'report.txt', 'd1', 3, 'ab', 'done', NULL, NULL);
