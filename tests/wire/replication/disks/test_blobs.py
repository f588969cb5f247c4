"""BlobService: blobs are created, filled, held, listed and deleted."""

import threading
import uuid

import blake3
import grpc
import pytest
from stoa.replication.v1 import blob_pb2
from stoa.replication.v1 import blob_service_pb2 as pb
from stoa.type.v1 import storage_pb2

from services.replication.content.progress import Control
from services.replication.content.slots import Slot
from services.replication.content.upload import BlobUpload
from tests.integration.replication.world import some_bytes
from tests.wire.authz.installation import World as People
from tests.wire.replication.disks.uploading import (
    MIB,
    chunk,
    chunks,
    commit,
    messages,
    refusal,
    start,
    whole,
    zeros,
)
from tests.wire.replication.service import eventually

Code = grpc.StatusCode
COMMITTED = blob_pb2.Blob.STATE_COMMITTED
UPLOADING = blob_pb2.Blob.STATE_UPLOADING


@pytest.fixture(scope="session")
def subscription(people: People) -> str:
    return people.subscription()


@pytest.fixture
def group(subscription) -> str:
    return f"{subscription}/resourceGroups/rg"


@pytest.fixture
def owner(service, group):
    return service.user().blobs


def create_request(group, blob_id="disk", location="home", **more):
    blob = blob_pb2.Blob(location=location, **more.pop("blob", {}))
    return pb.CreateBlobRequest(parent=group, blob_id=blob_id, blob=blob, **more)


@pytest.fixture
def blob(owner, group):
    return owner.CreateBlob(create_request(group))


def get(owner, name):
    return owner.GetBlob(pb.GetBlobRequest(name=name))


def test_a_new_blob_is_empty_and_takes_bytes(owner, group):
    made = owner.CreateBlob(create_request(group, blob={"size_bytes": 5, "tags": {"env": "test"}}))
    assert made.name == f"{group}/blobs/disk"
    assert (made.state, made.committed_bytes, made.size_bytes) == (UPLOADING, 0, 5)
    assert made.format == storage_pb2.DISK_FORMAT_RAW
    assert (made.expire_time.ToDatetime() - made.create_time.ToDatetime()).total_seconds() == 86400
    assert get(owner, made.name.upper().replace("SUBSCRIPTIONS", "subscriptions")) == made


def test_a_creation_says_all_that_is_wrong_at_once(owner, group):
    code, info = refusal(
        owner.CreateBlob, create_request(group, "-bad-", "nowhere", blob={"size_bytes": 0})
    )
    assert code is Code.INVALID_ARGUMENT
    assert info.reason == "INVALID_FIELDS"
    code, info = refusal(owner.CreateBlob, create_request(group, "good", "nowhere"))
    assert (code, info.reason) == (Code.INVALID_ARGUMENT, "REGION_UNKNOWN")
    assert dict(info.metadata) == {"location": "nowhere", "known": "home"}


def test_a_name_is_taken_once_and_a_request_id_answers_again(owner, group):
    request = create_request(group, request_id=str(uuid.uuid4()))
    first = owner.CreateBlob(request)
    assert owner.CreateBlob(request) == first
    code, info = refusal(owner.CreateBlob, create_request(group, "DISK"))
    assert (code, info.reason) == (Code.ALREADY_EXISTS, "RESOURCE_EXISTS")
    request.blob_id = "other"
    code, info = refusal(owner.CreateBlob, request)
    assert (code, info.reason) == (Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


def test_a_validation_creates_nothing(owner, group):
    found = owner.CreateBlob(create_request(group, validate_only=True))
    assert found.name == f"{group}/blobs/disk"
    code, info = refusal(get, owner, found.name)
    assert (code, info.reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")


def test_strangers_may_neither_create_nor_read(service, people, blob, group):
    stranger = service.user(people.user().rpartition("/")[2]).blobs
    assert refusal(stranger.CreateBlob, create_request(group))[0] is Code.PERMISSION_DENIED
    assert refusal(get, stranger, blob.name)[0] is Code.PERMISSION_DENIED
    assert refusal(get, stranger, f"{group}/blobs/none")[0] is Code.PERMISSION_DENIED
    upload = whole(blob.name, b"bytes")
    assert refusal(stranger.UploadBlob, upload)[0] is Code.PERMISSION_DENIED


def test_an_upload_is_committed_with_its_digest_and_answered_again(owner, blob):
    data = some_bytes(5 * MIB + 123)
    digest = blake3.blake3(data).digest()
    done = owner.UploadBlob(whole(blob.name, data, blake3_digest=digest)).blob
    assert (done.state, done.committed_bytes, done.size_bytes) == (COMMITTED, len(data), len(data))
    assert len(done.root_digest) == 32
    assert get(owner, blob.name) == done
    again = messages(start(blob.name, len(data)), commit(len(data), blake3_digest=digest))
    assert owner.UploadBlob(again).blob == done
    code, info = refusal(owner.UploadBlob, whole(blob.name, data))
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "BLOB_COMMITTED")


def test_a_large_sparse_blob_takes_a_few_messages_and_no_room(owner, blob):
    size = 1 << 40
    upload = messages(
        start(blob.name),
        zeros(0, size // 2),
        chunk(size // 2, b"in the middle"),
        zeros(size // 2 + 13, size // 2 - 13),
        commit(size),
    )
    done = owner.UploadBlob(upload).blob
    assert done.size_bytes == size
    assert done.stored_bytes == 65536
    assert done.zero_bytes == size - 65536


def test_an_interrupted_upload_goes_on_at_what_is_durable(owner, blob):
    data = some_bytes(9 * MIB)
    first = owner.UploadBlob(messages(start(blob.name), chunks(data[: 6 * MIB])))
    assert first.committed_bytes == 4 * MIB
    assert first.blob.state == UPLOADING
    code, info = refusal(owner.UploadBlob, whole(blob.name, data))
    assert (code, info.reason) == (Code.ABORTED, "UPLOAD_OFFSET_MISMATCH")
    assert info.metadata["committed_bytes"] == str(4 * MIB)
    digest = blake3.blake3(data).digest()
    done = owner.UploadBlob(whole(blob.name, data, 4 * MIB, blake3_digest=digest)).blob
    assert done.state == COMMITTED


def test_bytes_that_became_durable_right_before_a_kill_are_not_asked_for_again(
    service, owner, blob
):
    data = some_bytes(6 * MIB)
    row = service.world.rows.read(lambda tx: tx.blobs.get(blob.uid))
    store = service.world.slot_store("home", row.slot)
    # As far as a server comes that is killed between the journal and the row.
    with BlobUpload(blob.uid, Slot(store, row.tenant, row.task), Control()) as upload:
        upload.write(0, data)
        upload.flush()
    code, info = refusal(owner.UploadBlob, whole(blob.name, data))
    assert (code, info.reason) == (Code.ABORTED, "UPLOAD_OFFSET_MISMATCH")
    assert get(owner, blob.name).committed_bytes == 4 * MIB
    digest = blake3.blake3(data).digest()
    done = owner.UploadBlob(whole(blob.name, data, 4 * MIB, blake3_digest=digest)).blob
    assert done.state == COMMITTED


def test_a_commit_that_was_killed_after_its_last_byte_is_repeated(service, owner, blob):
    data = some_bytes(5 * MIB)
    row = service.world.rows.read(lambda tx: tx.blobs.get(blob.uid))
    store = service.world.slot_store("home", row.slot)
    with BlobUpload(blob.uid, Slot(store, row.tenant, row.task), Control()) as upload:
        upload.write(0, data)
        upload.commit()
    code, info = refusal(owner.UploadBlob, whole(blob.name, data))
    assert (code, info.metadata["committed_bytes"]) == (Code.ABORTED, str(len(data)))
    done = owner.UploadBlob(messages(start(blob.name, len(data)), commit(len(data)))).blob
    assert (done.state, done.size_bytes) == (COMMITTED, len(data))


def test_bytes_with_another_digest_are_not_taken(owner, blob):
    data = some_bytes(5 * MIB)
    bad = chunk(4 * MIB, data[4 * MIB :])
    bad.chunk.data = b"?" + bad.chunk.data[1:]
    code, info = refusal(
        owner.UploadBlob, messages(start(blob.name), chunks(data[: 4 * MIB]), bad, commit(5 * MIB))
    )
    assert (code, info.reason) == (Code.INVALID_ARGUMENT, "CHUNK_DIGEST_MISMATCH")
    assert info.metadata["committed_bytes"] == str(4 * MIB)
    assert get(owner, blob.name).committed_bytes == 4 * MIB


@pytest.mark.parametrize("kind", ["blake3_digest", "sha256_digest"])
def test_a_whole_with_another_digest_is_not_committed(owner, blob, kind):
    data = some_bytes(MIB)
    code, info = refusal(
        owner.UploadBlob,
        messages(start(blob.name), chunks(data), commit(MIB, **{kind: b"x" * 32})),
    )
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "CONTENT_DIGEST_MISMATCH")
    assert get(owner, blob.name).state == UPLOADING
    # The bytes are all there: with the right digest they are committed after all.
    digest = blake3.blake3(data).digest()
    right = messages(start(blob.name, MIB), commit(MIB, blake3_digest=digest))
    assert owner.UploadBlob(right).blob.state == COMMITTED


def test_messages_without_an_order_are_refused(owner, blob):
    for wrong in (
        [start(blob.name), chunk(5, b"gap")],
        [start(blob.name), chunk(0, b"a"), start(blob.name)],
        [start(blob.name), chunk(0, b"a"), commit(1), chunk(1, b"b")],
    ):
        code, info = refusal(owner.UploadBlob, iter(wrong))
        assert (code, info.reason) == (Code.INVALID_ARGUMENT, "UPLOAD_SEQUENCE_INVALID")
    assert refusal(owner.UploadBlob, iter([chunk(0, b"a")]))[0] is Code.INVALID_ARGUMENT


def test_a_size_other_than_declared_or_sent_is_refused(owner, group):
    name = owner.CreateBlob(create_request(group, blob={"size_bytes": 3})).name
    for wrong in (
        messages(start(name), chunk(0, b"four")),
        messages(start(name), chunk(0, b"ab"), commit(2)),
        messages(start(name), chunk(0, b"abc"), commit(2)),
    ):
        code, info = refusal(owner.UploadBlob, wrong)
        assert (code, info.reason) == (Code.FAILED_PRECONDITION, "UPLOAD_SIZE_MISMATCH")
    assert owner.UploadBlob(whole(name, b"abc")).blob.state == COMMITTED


def test_a_later_stream_takes_over_and_the_older_one_hears_of_it(owner, blob):
    data = some_bytes(4 * MIB)
    sent, go_on = threading.Event(), threading.Event()
    heard = []

    def slow():
        yield start(blob.name)
        yield from chunks(data[:MIB])
        sent.set()
        # The older client stalls: it is told without sending anything more.
        assert go_on.wait(30)

    older = threading.Thread(target=lambda: heard.append(refusal(owner.UploadBlob, slow())))
    older.start()
    assert sent.wait(30)
    done = owner.UploadBlob(whole(blob.name, data)).blob
    older.join(30)
    go_on.set()
    assert done.state == COMMITTED
    ((code, info),) = heard
    assert (code, info.reason) == (Code.ABORTED, "UPLOAD_TAKEN_OVER")


def test_a_silent_upload_gives_its_place_up_and_goes_on_later(impatient, group):
    owner = impatient.user().blobs
    name = owner.CreateBlob(create_request(group)).name
    data = some_bytes(6 * MIB)
    heard = threading.Event()

    def silent():
        yield start(name)
        yield from chunks(data[: 5 * MIB])
        assert heard.wait(30)

    code, info = refusal(owner.UploadBlob, silent())
    heard.set()
    assert (code, info.reason) == (Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    eventually(lambda: get(owner, name).committed_bytes == 4 * MIB, "whole segments are kept")
    assert owner.UploadBlob(whole(name, data, 4 * MIB)).blob.state == COMMITTED


def test_a_deleted_blob_ends_its_upload_and_frees_its_name(owner, blob, group):
    sent, go_on = threading.Event(), threading.Event()
    heard = []

    def slow():
        yield start(blob.name)
        yield chunk(0, b"bytes")
        sent.set()
        assert go_on.wait(30)

    older = threading.Thread(target=lambda: heard.append(refusal(owner.UploadBlob, slow())))
    older.start()
    assert sent.wait(30)
    owner.DeleteBlob(pb.DeleteBlobRequest(name=blob.name))
    older.join(30)
    go_on.set()
    ((code, info),) = heard
    assert (code, info.reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert owner.CreateBlob(create_request(group)).uid != blob.uid


def test_a_held_blob_stays_until_its_last_source_is_gone(service, owner, blob, group):
    catalog = service.service().blobs
    hold = pb.HoldBlobRequest(name=blob.name, source_uid="1" * 32, source=f"{group}/disks/d")
    code, info = refusal(catalog.HoldBlob, hold)
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "BLOB_NOT_COMMITTED")
    owner.UploadBlob(whole(blob.name, b"bytes"))
    held = catalog.HoldBlob(hold)
    assert held.holding_sources == [f"{group}/disks/d"]
    assert not held.HasField("expire_time")
    assert catalog.HoldBlob(hold) == held
    wrong = pb.HoldBlobRequest(
        name=blob.name, blob_uid="2" * 32, source_uid="3" * 32, source=f"{group}/disks/e"
    )
    code, info = refusal(catalog.HoldBlob, wrong)
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "BLOB_REPLACED")
    delete = pb.DeleteBlobRequest(name=blob.name)
    code, info = refusal(owner.DeleteBlob, delete)
    assert (code, info.reason) == (Code.FAILED_PRECONDITION, "BLOB_HELD")
    assert info.metadata["sources"] == f"{group}/disks/d"
    release = pb.ReleaseBlobRequest(name=blob.name, blob_uid=blob.uid, source_uid="1" * 32)
    catalog.ReleaseBlob(release)
    catalog.ReleaseBlob(release)
    assert get(owner, blob.name).HasField("expire_time")
    owner.DeleteBlob(delete)
    catalog.ReleaseBlob(release)
    assert refusal(catalog.HoldBlob, hold)[1].reason == "RESOURCE_NOT_FOUND"


def test_only_the_catalog_holds(service, blob):
    hold = pb.HoldBlobRequest(name=blob.name, source_uid="1" * 32, source=blob.name)
    assert refusal(service.service("authz").blobs.HoldBlob, hold)[0] is Code.PERMISSION_DENIED


def test_a_deletion_with_a_stale_etag_is_refused(owner, blob):
    owner.UploadBlob(whole(blob.name, b"bytes"))
    code, info = refusal(owner.DeleteBlob, pb.DeleteBlobRequest(name=blob.name, etag=blob.etag))
    assert (code, info.reason) == (Code.ABORTED, "ETAG_MISMATCH")
    request = pb.DeleteBlobRequest(
        name=blob.name, etag=get(owner, blob.name).etag, request_id=str(uuid.uuid4())
    )
    owner.DeleteBlob(request)
    owner.DeleteBlob(request)
    assert refusal(owner.DeleteBlob, pb.DeleteBlobRequest(name=blob.name))[0] is Code.NOT_FOUND


def test_lists_are_paged_filtered_and_ordered(owner, group, service):
    for number in range(5):
        owner.CreateBlob(
            create_request(group, f"b{number}", blob={"tags": {"parity": str(number % 2)}})
        )
    other = f"{group}2"
    owner.CreateBlob(create_request(other, "b9"))

    def ids(**asked):
        found, token = [], ""
        while True:
            page = owner.ListBlobs(pb.ListBlobsRequest(page_size=2, page_token=token, **asked))
            found += [one.name.rpartition("/")[2] for one in page.blobs]
            token = page.next_page_token
            if not token:
                return found

    assert ids(parent=group) == ["b0", "b1", "b2", "b3", "b4"]
    assert ids(parent=group, order_by="create_time desc") == ["b4", "b3", "b2", "b1", "b0"]
    assert ids(parent=group, filter='tags.parity = "1"') == ["b1", "b3"]
    assert ids(parent=group, filter="state = COMMITTED") == []
    assert ids(parent=group, filter="location = Home AND size_bytes > 3") == []
    wild = group.rpartition("/")[0] + "/-"
    assert ids(parent=wild) == ["b0", "b1", "b2", "b3", "b4", "b9"]
    with service.db.statements() as statements:
        owner.ListBlobs(pb.ListBlobsRequest(parent=group))
    assert len(statements) == 2
    with service.db.statements() as statements:
        get(owner, f"{group}/blobs/b0")
    assert len(statements) == 2
    code, info = refusal(owner.ListBlobs, pb.ListBlobsRequest(parent=group, page_token="no"))
    assert (code, info.reason) == (Code.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


def test_a_wildcard_lists_only_what_the_caller_may_read(service, owner, people, group):
    owner.CreateBlob(create_request(group, "seen"))
    owner.CreateBlob(create_request(f"{group}2", "hidden"))
    user = people.user()
    people.assign(user, "Reader", group)
    service.catch_up()
    reader = service.user(user.rpartition("/")[2]).blobs
    found = reader.ListBlobs(pb.ListBlobsRequest(parent=group.rpartition("/")[0] + "/-"))
    assert [one.name for one in found.blobs] == [f"{group}/blobs/seen"]
