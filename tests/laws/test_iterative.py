import pytest

from prunus.iterative import MagnitudePruner, Rewinder
from tests.laws.iterative import PRUNER_LAWS, REWINDER_LAWS


@pytest.mark.parametrize("law", PRUNER_LAWS)
@pytest.mark.filterwarnings("ignore::prunus.errors.LayerCollapse")
def test_the_pruner_keeps(law):
    law(MagnitudePruner)


@pytest.mark.parametrize("law", REWINDER_LAWS)
def test_the_rewinder_keeps(law):
    law(Rewinder)
