"""Keys of clients: drawn, shown once, turned over, refused."""

from s3shunt.cli import provision


def test_a_new_key_is_shown_once_with_its_secret(site):
    [drawn] = site.json("keys", "add", "films")
    assert site.house.keys().find(drawn["access_key"]).secret_key == drawn["secret_key"]
    assert drawn["secret_key"] not in site.said("keys", "list")
    assert "secret_key" not in site.json("keys", "list")[0]


def test_a_key_may_be_for_some_buckets_rights_and_time(site):
    site.said("keys", "add", "films", "--bucket", "raw-*", "--prefix", "2026/", "--allow", "read restore", "--lifetime", "12h")
    [key] = site.house.keys().all()
    [grant] = key.grants
    assert (grant.buckets, grant.prefixes, grant.allow) == (("raw-*",), ("2026/",), ("read", "restore"))
    assert 0 < key.expires - site.house.clock.now() <= 12 * 3_600_000


def test_without_a_bucket_it_has_all_rights_of_its_account(site):
    site.said("keys", "add", "films")
    assert site.house.keys().all()[0].grants is None


def test_a_rotated_key_has_the_same_rights_and_the_old_one_still_works(site):
    [old] = site.json("keys", "add", "films", "--bucket", "raw")
    [new] = site.json("keys", "rotate", old["access_key"])
    keys = {key.access_key: key for key in site.house.keys().all()}
    assert keys[new["access_key"]].grants == keys[old["access_key"]].grants
    assert new["secret_key"] != old["secret_key"]


def test_a_disabled_key_is_disabled(site):
    [key] = site.json("keys", "add", "films")
    site.said("keys", "disable", key["access_key"])
    assert site.json("keys", "list")[0]["disabled"]


def test_the_account_of_the_workers_gets_no_key(site):
    assert "workers' own" in site.run("keys", "add", provision.WORKER).output


def test_a_key_nobody_has_is_said_so(site):
    assert "has no key AKNOBODY" in str(site.run("keys", "disable", "AKNOBODY").exception)


def test_a_key_is_exported_for_a_shell(site):
    [key] = site.json("keys", "add", "films")
    from click.testing import CliRunner

    from s3shunt.cli.main import cli

    said = CliRunner().invoke(cli, ["keys", "export", "--file", str(site.state / "keys.json")]).output
    assert said.splitlines() == [f"export AWS_ACCESS_KEY_ID={key['access_key']}", f"export AWS_SECRET_ACCESS_KEY={key['secret_key']}"]


def test_a_list_for_people_says_when_a_key_ends_and_what_it_may_where(site):
    words = ("--bucket", "films", "--prefix", "in/", "--allow", "read list", "--lifetime", "30d")
    drawn = site.json("keys", "add", "desk", *words)[0]
    told = site.said("keys", "list")
    assert "films/in/: read" in told
    assert str(drawn["expires"]) not in told
    assert site.json("keys", "list")[-1]["expires"] == drawn["expires"]
