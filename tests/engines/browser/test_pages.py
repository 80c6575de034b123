"""What a person sees: the login page, JupyterLab, a cluster from its side bar."""

import json

import pytest

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def facility(start_facility):
    return start_facility()


def link(facility) -> str:
    return json.loads(facility.command("token", "--json"))["login"]


async def test_without_a_link_the_page_says_how_to_get_one(facility, page) -> None:
    await page.open(facility.runtime.public_url)
    await page.wait_for("document.body.innerText.includes('facility token')")
    assert await page.evaluate("document.querySelector('input') === null")


@pytest.mark.usefixtures("first_visit")
async def test_a_link_leads_to_a_notebook_and_its_dask_panel(
    facility, page, tmp_path
) -> None:
    await page.open(link(facility))
    await page.wait_for("document.querySelector('.jp-Launcher') !== null")
    await page.wait_for("document.querySelector('#jupyterlab-splash') === null")
    assert "token" not in str(await page.evaluate("location.href"))
    await page.wait_for("document.body.innerText.includes('/ 2048.00 MB')")
    await page.click_until(
        "document.querySelector('[data-id=\"dask-dashboard-launcher\"]')",
        "document.querySelector('.dask-DaskClusterManager').offsetHeight > 0",
    )
    await page.click(
        "[...document.querySelectorAll('.dask-DaskClusterManager *')]"
        ".filter(e => e.innerText?.trim() === 'NEW').pop()"
    )
    await page.wait_for(
        "document.querySelector('.dask-ClusterListingItem')?.innerText"
        ".includes('GatewayCluster')"
    )
    await page.wait_for(
        "document.querySelector('.dask-DaskDashboardLauncher')"
        ".innerText.includes('TASK STREAM')"
    )
    (tmp_path / "lab.png").write_bytes(await page.picture())
    (cluster,) = facility.clusters()
    user = facility.runtime.owner
    await page.open(
        f"{facility.runtime.public_url}/user/{user}/proxy/"
        f"{facility.runtime.ports.gateway}{facility.runtime.gateway_prefix}"
        f"/clusters/{cluster.name}/status"
    )
    await page.wait_for("document.querySelectorAll('.bk-Figure').length > 2")
    (tmp_path / "dashboard.png").write_bytes(await page.picture())
