-- agora-vendor's books, version 1. One file holds one extension of one vendor.
--
-- Times are Unix seconds, UTC. Amounts are exact decimals as text, in canonical form: no exponent, no
-- leading zeros, no zeros at the end of the fraction, zero as '0'; SQLite's own numbers would round them.
-- Ids are 1 to 64 bytes of printable ASCII without space unless said otherwise, compared bytewise.

-- Settings that change an answer or a figure. A setting without a row has its default (`setting list`).
create table setting (
  name  text not null primary key,  -- one of the names that `setting list` prints
  value text not null               -- as given to `setting set`, checked there
) strict, without rowid;

-- The key pairs whose signatures are accepted.
create table api_key (
  api_key      text    not null primary key,                             -- public half, 1 to 128 bytes, sent in every request
  api_secret   text    not null,                                         -- private half, never sent; HMAC needs it in the clear, so the file is mode 0600
  purpose      text    not null check (purpose in ('live', 'test')),     -- live: Agora's requests; test: the operator's own, kept apart from Agora's
  created_at_s integer not null,                                         -- seconds; of two live pairs the newer one signs
  revoked_at_s integer                                                   -- seconds; null while requests signed with it are accepted
) strict, without rowid;

-- Price plans, by Agora's planId.
create table plan (
  plan_id text not null primary key check (length(plan_id) between 1 and 16),  -- 1 to 16 characters; 'default' prices those who name no plan
  name    text not null,                                                       -- as it stands in descriptions, e.g. Standard
  unit    text not null,                                                       -- one unit of usage, in words, e.g. Minute
  price   text not null                                                        -- decimal, per unit, in the currency agreed with Agora; zero is free
) strict, without rowid;

-- Agora's users who activated the extension.
create table customer (
  customer_id     text    not null primary key,  -- Agora's id
  plan_id         text,                          -- the plan named for the customer; null: the plan 'default'. Not a reference: a plan may be named before it is set up
  name            text,                          -- contact, as announced; null where never told
  email           text,                          -- contact
  phone           text,                          -- contact
  first_seen_at_s integer not null,              -- seconds; when this row was made
  announced_at_s  integer                        -- seconds; when the account was announced; null where only a record or a license has named it
) strict, without rowid;

-- Agora's projects. A project that nobody announced is made by its first record, so that no usage is refused.
create table project (
  project_id      text    not null primary key,            -- Agora's id
  customer_id     text    references customer,             -- whose project it is; null where nobody has said
  first_seen_at_s integer not null                         -- seconds; when this row was made
) strict, without rowid;
create index project_by_customer on project (customer_id);

-- When the extension was enabled for a project; `totalSize` counts the projects enabled within a window.
create table project_enablement (
  project_id text    not null references project,                             -- the project
  from_s     integer not null,                                                -- seconds; the first second it was enabled
  until_s    integer check (until_s >= from_s),                               -- seconds; the last second it was enabled; null: still is
  primary key (project_id, from_s)
) strict, without rowid;
-- At most one open stretch for a project.
create unique index project_enabled_now on project_enablement (project_id) where until_s is null;

-- The usage ledger: append-only, the one source of every sum.
create table usage_ledger (
  seq           integer primary key,                                      -- order of writing, from 1, never reused (nothing is ever deleted)
  record_id     text unique check (length(record_id) between 1 and 128),  -- idempotency key, 1 to 128 bytes; null on a reversing entry
  project_id    text    not null references project,                      -- whose usage it is
  at_s          integer not null,                                         -- seconds; when it was used: decides which window it falls in
  amount        text    not null,                                         -- decimal, in the plan's unit; above zero, and below it on a reversing entry
  recorded_at_s integer not null,                                         -- seconds; when it was written here: what was known at a moment can be told later
  reverses_seq  integer references usage_ledger,                          -- the entry that this one takes back; null on a record
  in_crowd      integer not null check (in_crowd in (0, 1)),              -- 0: the first entry of its project in its second; 1: a further one, whose sums are in the rollup by second
  note          text,                                                     -- the operator's words; on a reversing entry the reason
  check ((record_id is null) = (reverses_seq is not null)),               -- an entry is either a record or a reversal
  check (reverses_seq is null or in_crowd = 1)                            -- a reversal is never the first: its record is there
) strict;
-- The ragged ends of a window; whole hours, days and months come from the rollup. One entry a project and
-- second, so that an end costs no more where a million records are dated alike (a day's noon, say).
create unique index usage_ledger_by_time on usage_ledger (at_s, project_id) where in_crowd = 0;
-- A record is taken back once.
create unique index usage_ledger_reversal on usage_ledger (reverses_seq) where reverses_seq is not null;

create trigger usage_ledger_is_not_changed before update on usage_ledger
begin
  select raise(abort, 'the usage ledger only grows: an entry is not changed');
end;
create trigger usage_ledger_is_not_deleted before delete on usage_ledger
begin
  select raise(abort, 'the usage ledger only grows: an entry is not deleted');
end;

-- Sums of the ledger, written in the transaction that writes the entry; derived, and recomputed by `check`.
-- By hour, day and month of all entries; by second of those in a crowd alone, since most seconds have none.
-- Keyed so that a whole hour, day or month is one ordered range read: a window's cost grows with
-- projects, never with records.
create table usage_rollup (
  grain      text    not null check (grain in ('second', 'hour', 'day', 'month')),  -- length of the stretch, UTC calendar
  start_s    integer not null,                                            -- seconds; its first second
  project_id text    not null references project,                         -- whose usage it is
  amount     text    not null,                                            -- decimal; sum of the entries' amounts in the stretch, reversals included
  records    integer not null,                                            -- records less reversals
  primary key (grain, start_s, project_id)
) strict, without rowid;

-- Licenses sold to customers.
create table license (
  license_id    text    not null primary key,          -- the operator's id, or one made by `license issue`
  customer_id   text    not null references customer,  -- whose license it is
  issued_at_s   integer not null,                      -- seconds
  expires_at_s  integer not null,                      -- seconds; the last second in which it is good
  granted       text,                                  -- decimal, units of usage it grants; null: unlimited
  revoked_at_s  integer,                               -- seconds; null unless revoked
  revoke_reason text                                   -- the operator's words, if any; null unless revoked
) strict, without rowid;
create index license_by_customer on license (customer_id);
